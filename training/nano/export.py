"""Writes a training checkpoint as a diffusers folder: averaged weights in half precision, f32 arithmetic intended."""

import argparse
import json
import os

import numpy as np
import torch
from diffusers import WanTransformer3DModel

from conditions import predict
from nets import build_transformer, build_vae, decode, encode, use_linear_path, use_whole_clips
from train_vae import HELD_OUT_SEED, make_clip


def measure_latents(vae, clips=48):
    """Mean and spread of every latent channel over held-out clips."""
    use_linear_path(vae.encoder, True)
    with torch.no_grad():
        latents = [encode(vae, make_clip(np.random.default_rng(HELD_OUT_SEED + 1000 + k), 9, 96, 96, grey=0)[None])[0, :16]
                   .flatten(1) for k in range(clips)]
    latents = torch.cat(latents, 1)
    return [round(float(x), 5) for x in latents.mean(1)], [round(float(x), 5) for x in latents.std(1)]


@torch.no_grad()
def try_out(net):
    noise = torch.randn(1, 36, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    if isinstance(net, WanTransformer3DModel):
        return predict(net, noise[:, :16], torch.tensor([0.5]), noise[:, 16:])
    return decode(use_whole_clips(net), noise[:, :16])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("part", choices=["vae", "transformer"])
    args.add_argument("--folder", required=True, help="folder of the training run")
    args.add_argument("--out", required=True, help="model folder; the part's own folder is made inside")
    args.add_argument("--latents-of", help="vae: keep latents_mean and latents_std of this exported folder")
    args = args.parse_args()
    average = torch.load(os.path.join(args.folder, "checkpoint.pt"), weights_only=True)["average"]
    if args.part == "transformer":
        net, extra = build_transformer(), {"text_len": 1}
        net.load_state_dict(average)
    else:
        net, extra = build_vae(), {}
        net.load_state_dict(average)
        if args.latents_of:
            with open(os.path.join(args.latents_of, "config.json")) as f:
                known = json.load(f)
            scale = known["latents_mean"], known["latents_std"]
        else:
            scale = measure_latents(use_whole_clips(net))
        net.register_to_config(latents_mean=scale[0], latents_std=scale[1])
    folder = os.path.join(args.out, args.part)
    trial = try_out(net)
    net.half().save_pretrained(folder)
    rounded = try_out(net.float())
    print("half precision changes a trial output by", float((rounded - trial).norm() / trial.norm()), "of its size")
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    with open(path, "w") as f:
        json.dump({**{k: v for k, v in config.items() if k != "_name_or_path"}, **extra}, f, indent=2)
        f.write("\n")
    print(folder, os.path.getsize(os.path.join(folder, "diffusion_pytorch_model.safetensors")) / 1e6, "MB")


if __name__ == "__main__":
    main()
