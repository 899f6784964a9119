"""Networks with random weights whose activations are alive, for tests that a fresh network would pass for nothing.

A fresh network in evaluation mode has batch norms that do nothing; its features die or explode on the way. Here the
scales and shifts are random and the running statistics are those of the images.
"""

import torch
from torch import nn

from microcalc.learn.networks import build_network, features_and_logits, head_of, network_spec

SIDE = 128
"""Large enough for more than one position in the last features of every network, small enough to be quick."""


def images(count, *, seed, side=SIDE):
    """Smooth blobs with grain, (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.randn(count, 3, 8, 8, generator=generator)
    grain = torch.randn(count, 3, side, side, generator=generator)
    smooth = nn.functional.interpolate(blobs, size=side, mode="bicubic")
    return (smooth + 0.3 * grain).contiguous(memory_format=torch.channels_last)


def settled_network(name, *, seed=1):
    """A network in evaluation mode with random batch norms that fit `images`."""
    model = build_network(name, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5, generator=generator)
        norm.bias.data.normal_(0.0, 0.2, generator=generator)
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(images(4, seed=seed))
        _balance(model.eval(), head_of(model, network_spec(name)), generator)
    return model


def _balance(model, head, generator):
    """Make both classes' weights orthogonal to the mean features, so that every map has bright and dark places."""
    mean = features_and_logits(model, images(4, seed=3))[0].mean(dim=(0, 2, 3))
    weight = torch.randn(head.weight.shape, generator=generator) / len(mean) ** 0.5
    head.weight.data = weight - (weight @ mean)[:, None] * mean / mean.dot(mean)
