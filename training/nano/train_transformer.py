"""Trains the transformer of nano on the latents of procedural shots. Resumes from its folder."""

import argparse
import collections
import random

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from conditions import condition, flow_pair, pack_mask, predict, sample
from data import render, sample_generation_mask, sample_shot
from loop import Run, average_of, psnr, stream
from nets import (build_transformer, decode_normalised, encode_normalised, shorten_text_attention, use_linear_path,
                  use_whole_clips)

# clips, frames, height, width; early odds, late odds
SHAPES = [(10, 5, 96, 96), (8, 9, 96, 96), (5, 9, 128, 128), (4, 9, 128, 160), (2, 17, 128, 128), (2, 17, 128, 192),
          (2, 17, 160, 160), (1, 25, 128, 160)]
EARLY = (0.25, 0.5, 0.15, 0.05, 0.05, 0, 0, 0)
LATE = (0, 0.3, 0.15, 0.1, 0.25, 0.15, 0.05, 0)
HELD_OUT_SEED = 20_000_000


class Maker:
    """Draws and encodes batches; `late` turns true for the larger shapes of the later steps."""

    def __init__(self, vae, late_from_batch):
        self.vae, self.late_from_batch, self.made = vae, late_from_batch, 0

    def __call__(self, rng):
        self.made += 1
        odds = LATE if self.made > self.late_from_batch else EARLY
        clips, *size = SHAPES[rng.choice(len(SHAPES), p=odds)]
        return [torch.stack(x) for x in zip(*(make_sample(self.vae, rng, *size) for _ in range(clips)))]


def make_sample(vae, rng, frames, height, width):
    """Clean latent, condition, and the loss weight of each latent cell."""
    video, roto = render(sample_shot(rng, frames, height, width))
    video = (2 * video - 1).transpose(0, 1).contiguous()
    generate = sample_generation_mask(rng, roto)
    if rng.random() < 0.94:
        generate[0] = False
    if frames > 1 and rng.random() < 0.12:  # further key frames
        generate[rng.integers(1, frames, size=rng.integers(1, 3))] = False
    clean = encode_normalised(vae, video[None])[0]
    made = 1 - pack_mask(generate).amin(0, keepdim=True)
    hero = 1 - pack_mask(roto > 0.3).amin(0, keepdim=True)
    return clean, condition(vae, video, generate), 0.4 + 1.1 * made + 2.5 * made * hero


@torch.no_grad()
def channel_weights(vae):
    """How much a latent channel moves the picture, by decoding a small change of each; mean 1."""
    still = torch.zeros(1, 16, 1, 8, 8)
    grey = decode_normalised(vae, still)
    moved = [decode_normalised(vae, still + 0.5 * torch.eye(16)[c].view(1, 16, 1, 1, 1) * torch.randn(1, 1, 1, 8, 8))
             for c in range(16)]
    effect = torch.tensor([float((m - grey).square().mean().sqrt()) for m in moved])
    return (effect / effect.mean()).clamp(0.2, 5).view(16, 1, 1, 1)


def loss_of(net, batch, levels, worth):
    """Flow loss weighted by place and channel."""
    clean, cond, weight = batch
    noisy, velocity = flow_pair(clean, levels, torch.randn_like(clean))
    with torch.autocast("cpu", torch.bfloat16):
        made = predict(net, noisy, levels, cond)
    return ((made.float() - velocity).square() * weight * worth).mean() / weight.mean()


def spread_levels(clips, shift=10.0):
    """Times spread evenly over the batch, then shifted towards noise, where the look is carried or lost."""
    even = (torch.randperm(clips) + torch.rand(clips)) / clips
    return shift * even / (1 + (shift - 1) * even)


@torch.no_grad()
def evaluate(net, vae, clips=6, frames=9, side=128, steps=2, shift=4.0):
    """Mean in-mask dB of: the first frame held, generation, and the VAE alone."""
    scores = []
    for k in range(clips):
        rng = np.random.default_rng(HELD_OUT_SEED + k)
        video, roto = render(sample_shot(rng, frames, side, side))
        generate = sample_generation_mask(rng, roto, ("silhouette", "box"), (0.5, 0.5))
        generate[0] = False
        clip = (2 * video - 1).transpose(0, 1)
        latent = sample(net, condition(vae, clip, generate)[None], steps, shift)
        made = decode_normalised(vae, latent)[0].transpose(0, 1) / 2 + 0.5
        round_trip = decode_normalised(vae, encode_normalised(vae, clip[None]))[0].transpose(0, 1) / 2 + 0.5
        inside = roto[:, None]
        scores.append([psnr(x[1:], video[1:], inside[1:]) for x in (video[:1].expand_as(video), made, round_trip)])
    return np.mean(scores, 0)


def load_vae(folder):
    vae = use_whole_clips(AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.float32)).eval().requires_grad_(False)
    use_linear_path(vae.encoder, True)  # equal: the encoder's residual branches were never trained
    return vae


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--vae", required=True, help="exported VAE folder")
    args.add_argument("--folder", required=True)
    args.add_argument("--minutes", type=float, default=55)
    args.add_argument("--seed", type=int, default=2)
    args.add_argument("--rate", type=float, default=4e-3)
    args.add_argument("--late", type=float, default=0.35, help="part of the time with small shapes")
    args.add_argument("--echo", type=int, default=2, help="steps on remembered batches per fresh batch")
    args.add_argument("--threads", type=int, default=2)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    random.seed(args.seed)

    vae, net, shadow = load_vae(args.vae), shorten_text_attention(build_transformer()), build_transformer()
    torch.nn.init.zeros_(net.proj_out.weight)
    run = Run(net, args.folder, args.rate, 60 * args.minutes, decay=0.02)
    worth = channel_weights(vae)
    print("channel weights", [round(float(w), 2) for w in worth.flatten()], flush=True)
    late = False
    batches = stream(Maker(vae, 10**9), args.seed, run.step)
    memory = collections.deque(maxlen=256)
    losses, tested_s = [], run.spent_s
    while run.done < 1:
        if not late and run.done > args.late:
            late, batches = True, stream(Maker(vae, 0), args.seed, run.step)
            memory.clear()
        fresh = next(batches)
        memory.append(fresh)
        for batch in [fresh, *random.choices(memory, k=args.echo)]:
            loss = loss_of(net, batch, spread_levels(len(batch[0])), worth)
            run.update(loss)
            losses.append(float(loss.detach()))
            if run.step % 100 == 0:
                run.log(loss=np.mean(losses), held_db=float("nan"), made_db=float("nan"), vae_db=float("nan"))
                print(f"step {run.step} {run.spent_s:.0f}s loss {np.mean(losses):.4f}", flush=True)
                losses = []
        if run.spent_s - tested_s > 240:
            tested_s = run.spent_s
            scores = evaluate(average_of(shadow, run), vae)
            run.log(loss=float("nan"), held_db=scores[0], made_db=scores[1], vae_db=scores[2])
            print("in mask: first frame held {:.2f}, made {:.2f}, VAE alone {:.2f} dB".format(*scores), flush=True)
        run.save(every_s=120)
    run.save()


if __name__ == "__main__":
    main()
