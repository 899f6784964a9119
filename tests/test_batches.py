"""The augmentation of the paper: its numbers, its randomness, its repeatability."""

import numpy as np
import torch

from microcalc.learn.batches import TrainingImages, batches_per_epoch, plan_epoch, training_batches, upright_batches
from microcalc.learn.inputs import warp
from microcalc.protocol import AugmentationSettings

PAPER = AugmentationSettings()
ROWS = np.arange(400)
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_an_epoch_shows_each_image_five_times_in_five_poses():
    plan = plan_epoch(ROWS, PAPER, seed=1, epoch=0)
    assert (np.bincount(plan.rows) == 5).all()
    assert len(np.unique(plan.poses.reshape(len(plan.rows), -1), axis=0)) == len(plan.rows)


def test_the_same_seed_and_epoch_give_the_same_poses_and_another_epoch_gives_others():
    a, b, c = (plan_epoch(ROWS, PAPER, seed=s, epoch=e) for s, e in ((1, 0), (1, 0), (1, 1)))
    assert (a.poses == b.poses).all()
    assert (a.rows == b.rows).all()
    assert not (a.poses == c.poses).any()


def test_rotations_fill_1_to_359_degrees_flips_half_of_the_poses_shifts_30_pixels():
    poses = plan_epoch(ROWS, PAPER, seed=2, epoch=0).poses.astype(float)
    matrix, shift = poses[:, :, :2], poses[:, :, 2] * 256
    assert np.abs(matrix @ matrix.transpose(0, 2, 1) - np.eye(2)).max() < 1e-6  # turned and mirrored, never stretched
    mirrored = np.linalg.det(matrix) < 0
    assert 0.44 < mirrored.mean() < 0.56
    assert 29 < np.abs(shift).max() <= 30
    angles = np.degrees(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])) % 360
    assert np.histogram(angles, bins=8, range=(0, 360))[0].min() > 0.6 * len(poses) / 8


def test_without_flips_nothing_is_mirrored():
    settings = AugmentationSettings(horizontal_flip=False, vertical_flip=False)
    poses = plan_epoch(ROWS, settings, seed=2, epoch=0).poses.astype(float)
    assert (np.linalg.det(poses[:, :, :2]) > 0).all()


def test_a_horizontal_flip_mirrors_left_and_right():
    image = np.zeros((1, 512, 512), np.uint16)
    image[0, 100:120, 50:60] = 60_000
    flip = torch.tensor([[[-1.0, 0, 0], [0, 1.0, 0]]])
    seen = warp(torch.from_numpy(image), flip, 512)[0, 0].numpy()
    assert np.allclose(seen, image[0, :, ::-1] / 65_535, atol=1e-4)


def test_a_crop_shows_the_centre_larger():
    plan = plan_epoch(ROWS, PAPER, seed=2, epoch=0, crop=256)
    scale = np.sqrt(np.abs(np.linalg.det(plan.poses[:, :, :2].astype(float))))
    assert np.allclose(scale, 0.5)


def test_only_full_batches_count_unless_there_is_none():
    assert batches_per_epoch(100, 32) == 3
    assert batches_per_epoch(20, 32) == 1


def test_batches_hold_the_posed_images_and_their_labels():
    prepared = np.random.default_rng(0).integers(0, 65_535, (6, 512, 512)).astype(np.uint16)
    labels = np.array([0, 1, 0, 1, 0, 1])
    images = TrainingImages(prepared, labels, np.arange(6), 64, HALF)
    plan = plan_epoch(images.index, PAPER, seed=0, epoch=0)
    batches = list(training_batches(images, plan, 4, torch.device("cpu")))
    assert len(batches) == 7
    for k, batch in enumerate(batches):
        part = slice(4 * k, 4 * k + 4)
        grey = warp(torch.from_numpy(prepared[plan.rows[part]]), torch.from_numpy(plan.poses[part]), 64)
        assert torch.equal(batch.inputs[:, :1], (grey - 0.5) / 0.5)
        assert batch.labels.tolist() == labels[plan.rows[part]].tolist()


def test_images_that_are_judged_come_upright_in_order_and_all():
    reduced = np.arange(5, dtype=np.uint16)[:, None, None] * np.ones((1, 8, 8), np.uint16)
    parts = list(upright_batches(reduced, np.array([4, 0, 3]), 2, ((0.0,) * 3, (1.0,) * 3), torch.device("cpu")))
    assert [len(p) for p in parts] == [2, 1]
    assert torch.cat(parts)[:, 0, 0, 0].mul(65_535).round().tolist() == [4, 0, 3]
