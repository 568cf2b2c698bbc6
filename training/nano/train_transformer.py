"""Trains the transformer of nano on the latents of procedural shots. Resumes from its folder."""

import argparse
import collections
import os

import torch
from diffusers import WanTransformer3DModel

import export
from conditions import condition, flow_pair, greyed, pack_mask, predict
from dice import Dice
from drafts import sample_draft
from evaluate import SIZES, SMOKE_SIZES, generations, load_vae, sheet
from loop import Report, Run
from masks import sample_generation_mask
from nets import (autocast, build_transformer, count_flops, decode_normalised, encode_normalised, in_channels_last,
                  lean, use_faster_convolutions)
from shots import Bank, clips_of

# clips, frames, height, width, share of early steps, share of late steps; at most about 18,000 tokens a batch
SHAPES = [(128, 5, 96, 96, 15, 2), (80, 9, 128, 128, 40, 12), (48, 17, 128, 128, 25, 14), (32, 17, 128, 192, 10, 12),
          (32, 25, 128, 128, 5, 10), (16, 25, 160, 256, 4, 20), (8, 25, 224, 384, 1, 30)]
SMOKE_SHAPES = [(2, 5, 64, 64, 1, 1), (1, 9, 48, 64, 1, 1)]
COLUMNS = ["loss", "norm", *(f"{size}_{what}_db" for size in SIZES
                             for what in ("draft", "made", "vae", "draft_unknown", "made_unknown", "vae_unknown", "grey"))]


@torch.no_grad()
def make_batch(dice, bank, vae, clips, frames, height, width, drafted):
    """Clean latents, conditions, and the loss weight of each latent cell."""
    shots = clips_of(dice, bank, clips, frames, height, width)
    video = 2 * shots.video - 1
    if drafted:
        shown, generate = sample_draft(dice, shots)
        shown = 2 * shown - 1
    else:
        generate = sample_generation_mask(dice, shots.roto)
        generate &= ~held_frames(dice, clips, frames)
        shown = greyed(video, generate)
    made = 1 - pack_mask(generate).amin(1, keepdim=True)
    hero = 1 - pack_mask(shots.roto > 0.3).amin(1, keepdim=True)
    weight = 0.4 + 0.8 * hero + (1.0 + 1.5 * hero) * made
    return encode_normalised(vae, in_last(video)), condition(vae, in_last(shown), generate), weight


def held_frames(dice, clips, frames):
    """The first frame nearly always, further keys now and then. (b, t, 1, 1)"""
    held = torch.zeros(clips, frames, dtype=torch.bool, device=dice.device)
    held[:, 0] = dice.chance(0.94, clips)
    keys = dice.chance(0.12, clips)[:, None] & dice.chance(1.5 / frames, clips, frames)
    return (held | keys)[:, :, None, None]


def in_last(video):
    return video.contiguous(memory_format=torch.channels_last_3d)


@torch.no_grad()
def channel_weights(vae, device):
    """How much a latent channel moves the picture, by decoding a small change of each; mean 1."""
    still = torch.zeros(1, 16, 1, 8, 8, device=device)
    grey = decode_normalised(vae, still)
    noise = torch.randn(1, 1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(device)
    moved = [decode_normalised(vae, still + 0.5 * torch.eye(16, device=device)[c].view(1, 16, 1, 1, 1) * noise) for c in range(16)]
    effect = torch.stack([(m - grey).square().mean().sqrt() for m in moved])
    return (effect / effect.mean()).clamp(0.3, 3).view(16, 1, 1, 1)


def loss_of(net, batch, levels, worth):
    """Flow loss weighted by place and channel."""
    clean, cond, weight = batch
    noisy, velocity = flow_pair(clean, levels, torch.randn_like(clean))
    with autocast(clean.device):
        made = predict(net, noisy, levels, cond)
    return ((made.float() - velocity).square() * weight * worth).mean() / weight.mean()


def spread_levels(dice, clips, shift=5.0):
    """Times spread evenly over the batch; half of them shifted towards noise, where the look is carried or lost."""
    even = (torch.randperm(clips, generator=dice.generator, device=dice.device) + dice.uniform(0, 1, clips)) / clips
    return torch.where(dice.chance(0.5, clips), even, shift * even / (1 + (shift - 1) * even))


def hand_over(run, shadow, vae, bank, args, report):
    """Measures and writes the averaged transformer, and draws the contact sheet."""
    net = run.averaged(shadow)
    scores, pictures = generations(net, vae, bank, args.device, SMOKE_SIZES if args.smoke else SIZES)
    report.line(**scores)
    export.write(net, os.path.join(args.out, "transformer"), {"text_len": 1})
    sheet(pictures, args.sheet)
    run.save()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bank", required=True)
    args.add_argument("--folder", required=True, help="checkpoint and log")
    args.add_argument("--out", required=True, help="model folder: the VAE is read there, the transformer written every minute")
    args.add_argument("--sheet", required=True, help="contact sheet of held-out shots")
    args.add_argument("--start", help="transformer folder to go on from, instead of random weights")
    args.add_argument("--minutes", type=float, default=4)
    args.add_argument("--seed", type=int, default=2)
    args.add_argument("--rate", type=float, default=4e-3)
    args.add_argument("--late", type=float, default=0.6, help="part of the time with mostly small shapes")
    args.add_argument("--drafted", type=float, default=0.65, help="part of the batches that show a draft")
    args.add_argument("--echo", type=int, default=3, help="steps on remembered batches per fresh batch")
    args.add_argument("--memory", type=int, default=48, help="batches remembered")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--held-out", type=int, default=128, help="textures at the front of the bank for evaluations")
    args.add_argument("--smoke", action="store_true", help="tiny sizes: everything runs, nothing is learnt")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    shapes = SMOKE_SHAPES if args.smoke else SHAPES
    line_s, export_s = (2, 3) if args.smoke else (20, 60)

    bank = Bank(args.bank, args.device, args.held_out)
    vae = in_channels_last(load_vae(os.path.join(args.out, "vae"), args.device))
    net, shadow = (lean(build_transformer()) for _ in range(2))
    flops = {s: step_flops(net, s) for s in shapes}
    net.to(args.device), shadow.to(args.device)
    if args.start:
        net.load_state_dict(WanTransformer3DModel.from_pretrained(args.start, torch_dtype=torch.float32).state_dict())
    else:
        torch.nn.init.zeros_(net.proj_out.weight)
    worth = channel_weights(vae, args.device)
    print("channel weights", [round(w, 2) for w in worth.flatten().tolist()], flush=True)
    trial = in_last(torch.zeros(max(1, shapes[1][0] // 4), 3, *shapes[1][1:4], device=args.device))
    use_faster_convolutions(vae, lambda: encode_normalised(vae, trial))
    run = Run(net, args.folder, args.rate, 60 * args.minutes, decay=0.02)
    report = Report(run, os.path.join(args.folder, "transformer_log.csv"), COLUMNS)
    dice = Dice(1_000_003 * args.seed + run.step, args.device)
    memory, late, tested_s = collections.deque(maxlen=args.memory), False, run.spent_s
    while run.done < 1:
        if not late and run.done > args.late:
            late = True
            memory.clear()
        shape = dice.host.choices(shapes, [s[5] if late else s[4] for s in shapes])[0]
        fresh = shape, make_batch(dice, bank, vae, *shape[:4], drafted=dice.host.random() < args.drafted)
        memory.append(fresh)
        for shape, batch in [fresh, *dice.host.choices(memory, k=args.echo)]:
            loss = loss_of(net, batch, spread_levels(dice, shape[0]), worth)
            report.add(shape[0], flops[shape], loss=loss, norm=run.update(loss))
        if report.age_s > line_s:
            report.line()
        if run.spent_s - tested_s > export_s:
            tested_s = run.spent_s
            hand_over(run, shadow, vae, bank, args, report)
    hand_over(run, shadow, vae, bank, args, report)


def step_flops(net, shape):
    """Of a training step on one batch: three times the forward pass of one clip, for each clip."""
    clips, frames, height, width = shape[:4]
    x = torch.zeros(1, 36, 1 + frames // 4, height // 8, width // 8)
    with torch.no_grad():
        return 3 * clips * count_flops(lambda: predict(net, x[:, :16], torch.ones(1), x[:, 16:]))


if __name__ == "__main__":
    main()
