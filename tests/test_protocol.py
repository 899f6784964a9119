"""A protocol is data: checked, complete, with the paper's values as defaults."""

from pathlib import Path

import pytest

from microcalc.errors import ProtocolError
from microcalc.protocol import NETWORKS, Protocol, built_in_protocol, checked_protocol, read_protocol


def test_the_file_of_the_paper_says_what_the_defaults_are():
    assert built_in_protocol("paper") == Protocol()


def test_defaults_are_the_values_of_the_paper():
    paper = Protocol()
    assert paper.networks == NETWORKS
    assert paper.training.learning_rates == (1e-4,)
    assert (paper.training.beta1, paper.training.beta2, paper.training.l2) == (0.9, 0.999, 0.0005)
    assert paper.training.patience == 20
    assert paper.augmentation.rotation_degrees == (1, 359)
    assert paper.augmentation.translation_pixels == 30
    assert paper.augmentation.copies == 5


def test_a_protocol_survives_being_written_and_read(tmp_path: Path):
    demo = built_in_protocol("demo")
    (tmp_path / "p.yaml").write_text(demo.to_yaml())
    assert read_protocol(tmp_path / "p.yaml") == demo


def test_an_unknown_key_is_refused_by_its_name(tmp_path: Path):
    (tmp_path / "p.yaml").write_text("training: {lerning_rate: 1}")
    with pytest.raises(ProtocolError, match=r"p\.yaml.*\n  training\.lerning_rate: a setting here must be one"):
        read_protocol(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("networks: [vgg16]", "networks must be some of .*; got vgg16"),
        (
            "networks: [resnet101, resnet101]",
            r"networks must differ from each other; got resnet101, resnet101\. Name each once",
        ),
        ("networks: []", "at least 1 item"),
        ("per_network: {vgg16: {}}", "got vgg16"),
        ("training: {learning_rates: [0]}", "greater than 0"),
        ("training: {learning_rates: [1, 1]}", r"\n  learning rates must differ; got 1, 1\. Name each once"),
        ("[1, 2]", "must be a mapping"),
        ("a: [", "readable YAML"),
    ],
)
def test_values_that_make_no_sense_are_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ProtocolError, match=message):
        read_protocol(tmp_path / "p.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "split: {bye: patient}",
            "split.bye: a setting here must be one of by, test_from, test_fraction, validation_fraction, seed; "
            "got bye. Is by meant?",
        ),
        (
            "per_network: {xception: {batch: 8}}",
            "per_network.xception.batch: a setting here must be one of learning_rate_factor, batch_size, max_epochs, "
            "input_size; got batch.",
        ),
        (
            "image: {local_contrast: {blur: 1}}",
            "image.local_contrast.blur: a setting here must be one of sigma, gain; got blur.",
        ),
        ("split: {test_fraction: 1.5}", "split.test_fraction: must be less than 1; got 1.5"),
        (
            "split: {test_from: 5/3/2015}",
            "split.test_from: must be a day of the calendar as YYYY-MM-DD; got '5/3/2015'",
        ),
        ("image: {input_size: 20}", "image.input_size: must be greater than or equal to 64; got 20"),
        ("weights: mine", "weights: must be 'imagenet' or 'none'; got 'mine'"),
        (
            "networks: [resnet50]",
            f"networks must be some of {', '.join(NETWORKS)}; got resnet50",
        ),
    ],
)
def test_a_refusal_says_what_must_hold_and_what_came(tmp_path: Path, text: str, line: str):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ProtocolError) as refusal:
        read_protocol(tmp_path / "p.yaml")
    first, told, way_out = str(refusal.value).split("\n")
    assert first == f"{tmp_path / 'p.yaml'}: these settings are not allowed:"
    assert told.strip() == line or (told.strip().startswith(line) and told.endswith(" meant?"))
    assert way_out == "Mend them, or leave them out to have the paper's values"


def test_a_missing_file_is_named():
    with pytest.raises(ProtocolError, match=r"nowhere\.yaml"):
        read_protocol(Path("nowhere.yaml"))


def test_a_network_of_its_own_mind_overrides_the_protocol():
    protocol = checked_protocol(
        {"training": {"batch_size": 8}, "per_network": {"xception": {"batch_size": 4, "learning_rate_factor": 2}}},
        source="test",
    )
    assert protocol.values_for("xception").batch_size == 4
    assert protocol.values_for("xception").learning_rate_factor == 2
    assert protocol.values_for("resnet101").batch_size == 8
