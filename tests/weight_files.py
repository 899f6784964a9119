"""Weight files as timm publishes them, made up: the real tensors' names and shapes, random or hollow values."""

import hashlib
import json
import math

import torch
from safetensors.torch import save_file

from microcalc.learn._timm import create_model
from microcalc.learn.networks import network_spec
from microcalc.learn.weights import Manifest, WeightFile, check_tensors, weight_path, write_manifest


def imagenet_state(name, *, seed=0):
    """State dict of the timm network with its 1,000 classes; weights as drawn, running statistics off their start."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        state = create_model(network_spec(name).timm_name, pretrained=False, num_classes=1000).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.fill_(0.25)
    return {key: value.contiguous() for key, value in state.items()}


def shapes_of(name, classes=1000):
    """Names and shapes of the published file, without the memory."""
    with torch.device("meta"):
        model = create_model(network_spec(name).timm_name, pretrained=False, num_classes=classes)
    return {
        key: ("I64" if value.dtype == torch.int64 else "F32", value.shape) for key, value in model.state_dict().items()
    }


def write_hollow(path, tensors):
    """A safetensors file of zeros that takes no room on the disk."""
    header, offset = {}, 0
    for key, (kind, shape) in tensors.items():
        size = {"I64": 8, "F32": 4, "I32": 4}[kind] * math.prod(shape)
        header[key] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + offset)
    return path


def entry(path, name, **changes):
    """Manifest entry that is true of the file, but for the changes."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    facts = {
        "sha256": digest,
        "bytes": len(content),
        "tensors": 1,
        "timm_name": network_spec(name).timm_name,
        "source": "made up",
        "source_sha256": digest,
        "license": "",
    }
    return WeightFile(**facts | changes)


def folder_with(folder, name, state=None):
    """Folder of weights as `fetch` leaves it, with one network; hollow without a state."""
    folder.mkdir(exist_ok=True)
    path = weight_path(folder, name)
    if state is not None:
        save_file(state, path)
        known = entry(path, name, tensors=check_tensors(path, name))
    else:
        write_hollow(path, shapes_of(name))
        known = _hollow_entries.get(name) or _hollow_entries.setdefault(name, entry(path, name))
    write_manifest(folder, Manifest(files={name: known}))
    return folder


_hollow_entries = {}
