"""Builds the encoder of the video VAE and trains its decoder on procedural shots. Resumes from its folder."""

import argparse

import numpy as np
import torch

from data import render, sample_generation_mask, sample_shot
from loop import Run, average_of, psnr, stream
from nets import build_vae, decode, encode, start_linear, use_linear_path, use_whole_clips
from principal import start_encoder

# clips, frames, height, width, odds
SHAPES = [(2, 9, 64, 64, 0.65), (1, 9, 96, 96, 0.15), (4, 5, 64, 64, 0.1), (1, 17, 64, 64, 0.1)]
HELD_OUT_SEED = 10_000_000


def make_batch(rng):
    clips, frames, height, width, _ = SHAPES[rng.choice(len(SHAPES), p=[s[-1] for s in SHAPES])]
    return torch.stack([make_clip(rng, frames, height, width) for _ in range(clips)])


def make_clip(rng, frames, height, width, grey=0.25):
    """(3, frames, height, width) in [-1, 1]; some clips carry the mid-grey holes of a condition video."""
    video, roto = render(sample_shot(rng, frames, height, width))
    video = (2 * video - 1).transpose(0, 1)
    if rng.random() < grey:
        hole = sample_generation_mask(rng, roto)
        hole[0] &= rng.random() < 0.3
        video = video.masked_fill(hole, 0.0)
    return video


def loss_of(vae, video):
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            mean, log_var = encode(vae, video).float().chunk(2, 1)
            latent = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        made = decode(vae, latent).float()
    error = made - video
    slope = sum(torch.diff(error, dim=d).abs().mean() for d in (2, 3, 4))
    return 0.5 * error.abs().mean() + 4 * error.square().mean() + 0.2 * slope, error


@torch.no_grad()
def evaluate(vae, clips=8, frames=9, side=96):
    scores = []
    for k in range(clips):
        video = make_clip(np.random.default_rng(HELD_OUT_SEED + k), frames, side, side, grey=0)[None]
        made = decode(vae, encode(vae, video)[:, :16]).clamp(-1, 1)
        scores.append(psnr(made / 2, video / 2))
    return float(np.mean(scores))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--folder", required=True)
    args.add_argument("--minutes", type=float, default=9)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--rate", type=float, default=4e-3)
    args.add_argument("--linear", type=float, default=0.25,
                      help="part of the time for the decoder's linear path alone")
    args.add_argument("--threads", type=int, default=2)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)

    vae, shadow = use_whole_clips(build_vae()), use_whole_clips(build_vae())
    start_linear(vae)
    examples = [make_clip(np.random.default_rng([args.seed, k]), 9, 96, 96, grey=0) for k in range(64)]
    start_encoder(vae.encoder, vae.quant_conv, torch.stack(examples))
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)
        if isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    run = Run(vae, args.folder, args.rate, 60 * args.minutes, decay=0.0)
    batches = stream(make_batch, args.seed, run.step)
    total, count = 0.0, 0
    while run.done < 1:
        for net in (vae, shadow):
            use_linear_path(net.encoder, True)
            use_linear_path(net.decoder, run.done < args.linear)
        loss, error = loss_of(vae, next(batches))
        norm = run.update(loss)
        total, count = total + float(error.detach().square().mean()), count + 1
        if run.step % 100 == 0:
            held_out = evaluate(average_of(shadow, run)) if run.step % 400 == 0 else float("nan")
            train = 10 * np.log10(4 / (total / count))
            run.log(loss=float(loss.detach()), norm=norm, train_psnr=train, held_out_psnr=held_out)
            print(f"step {run.step} {run.spent_s:.0f}s loss {float(loss.detach()):.4f} train {train:.2f} dB held out {held_out:.2f} dB",
                  flush=True)
            total, count = 0.0, 0
        run.save(every_s=150)
    run.save()
    print(f"held out {evaluate(average_of(shadow, run), 16):.2f} dB", flush=True)


if __name__ == "__main__":
    main()
