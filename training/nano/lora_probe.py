"""Stage 1 of the method on held-out shots: tune a LoRA on the unedited shot, then generate from a repainted first frame.

Prints in-mask dB against the known repainted truth for: no edit, first frame held, generation without and with LoRA.
"""

import argparse
import math
import os
import time
from dataclasses import replace

import numpy as np
import torch
from diffusers import WanTransformer3DModel
from peft import LoraConfig
from PIL import Image

from conditions import condition, flow_pair, predict, sample
from data import Thing, add_part, contrasting_colour, render, repaint, sample_colour, sample_shot, smooth_step, widen
from loop import psnr
from nets import decode_normalised, encode_normalised, shorten_text_attention
from train_transformer import load_vae

LAYERS = ["attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q", "attn2.to_k", "attn2.to_v",
          "attn2.to_out.0", "ffn.net.0.proj", "ffn.net.2"]
SEED = 30_000_000


def probe_shot(k, frames, height, width):
    """A held-out shot and its repainted twin. Even k: a disc that travels and turns, half of it repainted."""
    rng = np.random.default_rng(SEED + k)
    shot = sample_shot(rng, frames, height, width, second=0.0)
    if k % 2 == 0:
        shot.hero = disc(rng, frames, height, width)
    return shot, replace(shot, hero=half_repainted(rng, shot.hero) if k % 2 == 0 else repaint(rng, shot.hero))


def disc(rng, frames, height, width):
    u = np.linspace(0, 1, frames)
    radius = 0.2 * min(height, width)
    side = int(2.1 * radius)
    texture = np.broadcast_to(sample_colour(rng)[:, None, None], (3, side, side)).astype(np.float32)
    for _ in range(2):
        texture = add_part(rng, texture)
    away = rng.choice([-1, 1], 2)
    x = width * (0.5 + away[0] * (0.33 * u - 0.16))
    y = height * (0.5 + away[1] * (0.2 * u - 0.1))
    turn = rng.choice([-1, 1]) * math.radians(63)
    poses = np.stack([x, y, rng.uniform(0, 6) + turn * u, 1 + 0.1 * u, np.ones(frames), np.zeros(frames)], 1)
    return Thing(torch.full((256,), radius), torch.from_numpy(texture), 1.05 * radius, poses, np.ones(frames))


def half_repainted(rng, thing):
    texture = thing.texture.numpy()
    side = texture.shape[1]
    weight = smooth_step((np.arange(side)[:, None] - side / 2) / 2 + 0.5) * np.ones((1, side))
    mean = (texture * weight).sum((1, 2)) / weight.sum()
    paint = contrasting_colour(rng, mean, 1.2)[:, None, None]
    return replace(thing, texture=torch.from_numpy((texture * (1 - weight) + paint * weight).astype(np.float32)))


def recoloured(rng, video, roto):
    """The shot with one random map of colours inside the mask: axes permuted, some inverted, mixed, scaled."""
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], (3, 1))
    mix = axes + 0.25 * rng.normal(size=(3, 3))
    mix = torch.from_numpy((mix * rng.uniform(0.7, 1.2)).astype(np.float32))
    offset = torch.from_numpy((0.5 + rng.uniform(-0.2, 0.2, 3)).astype(np.float32)).view(3, 1, 1)
    painted = (torch.einsum("cd,tdhw->tchw", mix, video - 0.5) + offset).clamp(0, 1)
    return video + roto[:, None] * (painted - video)


def clip_of(video):
    return (2 * video - 1).transpose(0, 1).contiguous()


def tune(net, samples, args, generator):
    """Plain stage 1 when there is one sample; otherwise the samples take turns."""
    net.add_adapter(LoraConfig(r=args.rank, lora_alpha=args.rank, target_modules=LAYERS))
    weights = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=args.rate, betas=(0.9, 0.99), weight_decay=0.01)
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = args.rate * (1 - step / args.steps if args.decay else 1)
        clean, cond = samples[step % len(samples)]
        even = torch.rand(1, generator=generator)
        level = args.train_shift * even / (1 + (args.train_shift - 1) * even)
        noisy, velocity = flow_pair(clean, level, torch.randn(clean.shape, generator=generator))
        loss = (predict(net, noisy, level, cond) - velocity).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        yield step + 1


def picture(rows, path):
    sheet = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    Image.fromarray((sheet.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()).save(path)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--model", required=True, help="exported model folder")
    args.add_argument("--shots", type=int, nargs="+", default=[0, 1])
    args.add_argument("--size", type=int, nargs=3, default=[17, 128, 128], help="frames height width")
    args.add_argument("--mask", default="box")
    args.add_argument("--rank", type=int, default=16)
    args.add_argument("--rate", type=float, default=5e-3)
    args.add_argument("--decay", type=int, default=1, help="1: the rate falls linearly to 0")
    args.add_argument("--steps", type=int, default=60)
    args.add_argument("--report-every", type=int, default=1000)
    args.add_argument("--recolour", type=int, default=12, help="number of recoloured copies tuned on beside the shot")
    args.add_argument("--train-shift", type=float, default=1000.0, help="1 is the published uniform choice")
    args.add_argument("--euler", type=int, default=1)
    args.add_argument("--shift", type=float, default=4.0)
    args.add_argument("--pictures", default="")
    args.add_argument("--threads", type=int, default=1)
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    vae = load_vae(os.path.join(args.model, "vae"))
    table = []
    for k in args.shots:
        source, truth = (render(s) for s in probe_shot(k, *args.size))
        (video, roto), truth = source, truth[0]
        generate = widen(roto > 0.02, args.mask)
        generate[0] = False
        inside = roto[1:, None]

        def generated(net):
            edited = clip_of(torch.cat([truth[:1], video[1:]]))
            latent = sample(net, condition(vae, edited, generate)[None], args.euler, args.shift)
            return decode_normalised(vae, latent)[0].transpose(0, 1) / 2 + 0.5

        def score(x):
            return psnr(x[1:], truth[1:], inside)

        net = WanTransformer3DModel.from_pretrained(os.path.join(args.model, "transformer"), torch_dtype=torch.float32)
        shorten_text_attention(net.requires_grad_(False))
        plain = generated(net)
        rng = np.random.default_rng(k)
        copies = [video] + [recoloured(rng, video, roto) for _ in range(args.recolour)]
        samples = [(encode_normalised(vae, clip_of(c)[None]), condition(vae, clip_of(c), generate)[None]) for c in copies]
        ceiling = decode_normalised(vae, encode_normalised(vae, clip_of(truth)[None]))[0].transpose(0, 1) / 2 + 0.5
        row = [score(video), score(truth[:1].expand_as(truth)), score(plain)]
        start = time.time()
        for step in tune(net, samples, args, torch.Generator().manual_seed(k)):
            if step % args.report_every == 0 or step == args.steps:
                tuned = generated(net)
                print(f"shot {k} step {step} no edit {row[0]:.2f} held {row[1]:.2f} without {row[2]:.2f} with LoRA "
                      f"{score(tuned):.2f} VAE {score(ceiling):.2f} dB, {(time.time() - start) / step:.2f} s a step", flush=True)
        table.append([*row, score(tuned), score(ceiling)])
        if args.pictures:
            at = [0, len(video) // 4, len(video) // 2, len(video) - 1]
            picture([x[at] for x in (video, truth, plain, tuned, ceiling)], f"{args.pictures}{k}.png")
    print("mean: no edit {:.2f} held {:.2f} without {:.2f} with LoRA {:.2f} VAE {:.2f} dB".format(*np.mean(table, 0)))


if __name__ == "__main__":
    main()
