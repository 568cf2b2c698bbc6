"""Writes a network as a diffusers folder: weights in half precision, f32 arithmetic intended."""

import json
import os

import torch
from safetensors.torch import save_file

WEIGHTS = "diffusion_pytorch_model.safetensors"


def write(net, folder, extra=None):
    """`extra` joins the configuration. The old file is replaced at once, so that a cut-off run leaves a whole one."""
    os.makedirs(folder, exist_ok=True)
    net.save_config(folder)
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    with open(path, "w") as f:
        json.dump({k: v for k, v in config.items() if k != "_name_or_path"} | (extra or {}), f, indent=2)
        f.write("\n")
    half = {k: v.half().contiguous().cpu() for k, v in net.state_dict().items()}
    if not all(torch.isfinite(v).all() for v in half.values()):
        raise SystemExit(f"{folder}: a weight is not finite in half precision")
    # A name that no reader takes for weights, until it is complete.
    path = os.path.join(folder, WEIGHTS)
    save_file(half, path + ".new", {"format": "pt"})
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)
