"""Trains the video VAE on procedural shots, encoder and decoder together. Resumes from its folder."""

import argparse
import os

import torch

import export
from conditions import greyed
from dice import Dice
from evaluate import SIZES, SMOKE_SIZES, round_trips
from loop import Report, Run
from masks import sample_generation_mask
from nets import (autocast, build_vae, count_flops, decode, encode, in_channels_last, leave_out_attention, start_linear,
                  use_faster_convolutions, use_flat_convolutions, use_linear_path, use_whole_clips)
from principal import start_encoder
from shots import Bank, clips_of

# clips, frames, height, width; odds
SHAPES = [(16, 9, 128, 128), (8, 17, 128, 128), (24, 5, 128, 160), (1, 25, 224, 384)]
ODDS = (45, 25, 10, 20)
SMOKE_SHAPES, SMOKE_ODDS = [(2, 5, 64, 64), (1, 9, 48, 64)], (1, 1)
LATENTS_SEED = 3_900_000_000
COLUMNS = ["loss", "square", "apart", "norm", "small_db", "small_hero_db", "large_db", "large_hero_db"]


def make_batch(dice, bank, shapes, odds, grey=0.15):
    """(b, 3, t, h, w) in [-1, 1]; some batches carry the mid-grey holes of a condition video."""
    count, *size = dice.host.choices(shapes, odds)[0]
    clips = clips_of(dice, bank, count, *size)
    video = 2 * clips.video - 1
    if dice.host.random() < grey:
        hole = sample_generation_mask(dice, clips.roto)
        hole[:, 0] &= dice.host.random() < 0.3
        video = greyed(video, hole)
    return in_last(video)


def in_last(video):
    return video.contiguous(memory_format=torch.channels_last_3d)


def loss_of(vae, video, divergence=2e-3, least=-6.0):
    """Pixels, slopes in space and time, and the divergence of the latent from unit noise.

    The noise never falls below `least` (logarithm of its variance): the transformer's errors are no smaller.
    """
    with autocast(video.device):
        mean, log_var = encode(vae, video).float().chunk(2, 1)
        log_var = log_var.clamp(least, 4)
        latent = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        made = decode(vae, latent).float()
    error = made - video
    square = error.square().mean()
    slope = sum(torch.diff(error, dim=d).abs().mean() for d in (2, 3, 4))
    apart = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).mean()
    return 0.5 * error.abs().mean() + 4 * square + 0.25 * slope + divergence * apart, square, apart


def start(vae, bank, seed, device, size):
    """The linear start, from clips of the same kind."""
    start_linear(vae)
    examples = 2 * clips_of(Dice(seed, device), bank, *size, blurred=0).video - 1
    start_encoder(vae.encoder.cpu(), vae.quant_conv.cpu(), examples.cpu())
    vae.to(device)


def freeze_encoder(vae, frozen):
    """While it lasts only the linear path of the decoder learns."""
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(not frozen)
    leave_out_attention(vae)
    use_linear_path(vae.encoder, frozen)
    use_linear_path(vae.decoder, frozen)


@torch.no_grad()
def measure_latents(vae, bank, device, size=(16, 9, 128, 128)):
    """Mean and spread of every latent channel over shots of a seed of their own."""
    video = 2 * clips_of(Dice(LATENTS_SEED, device), bank, *size).video - 1
    with autocast(device):
        latents = encode(vae, video)[:, :16].float().transpose(0, 1).flatten(1)
    return [[round(x, 5) for x in values.tolist()] for values in (latents.mean(1), latents.std(1))]


def hand_over(run, shadow, bank, args, report):
    """Measures and writes the averaged VAE."""
    vae = run.averaged(shadow)
    report.line(**round_trips(vae, bank, args.device, SMOKE_SIZES if args.smoke else SIZES))
    mean, spread = measure_latents(vae, bank, args.device, SMOKE_SHAPES[0] if args.smoke else SHAPES[0])
    vae.register_to_config(latents_mean=mean, latents_std=spread)
    export.write(vae, os.path.join(args.out, "vae"))
    run.save()


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bank", required=True)
    args.add_argument("--folder", required=True, help="checkpoint and log")
    args.add_argument("--out", required=True, help="model folder, written every minute")
    args.add_argument("--minutes", type=float, default=2.5)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--rate", type=float, default=4e-3)
    args.add_argument("--encoder-rate", type=float, default=0.2, help="share of the rate: the encoder starts near its aim")
    args.add_argument("--linear", type=float, default=0.05, help="part of the time for the decoder's linear path alone")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args.add_argument("--threads", type=int, default=1)
    args.add_argument("--held-out", type=int, default=128, help="textures at the front of the bank for evaluations")
    args.add_argument("--smoke", action="store_true", help="tiny sizes: everything runs, nothing is learnt")
    args = args.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    shapes, odds = (SMOKE_SHAPES, SMOKE_ODDS) if args.smoke else (SHAPES, ODDS)
    line_s, export_s = (2, 3) if args.smoke else (20, 60)

    bank = Bank(args.bank, args.device, args.held_out)
    vae, shadow = (in_channels_last(use_whole_clips(build_vae())) for _ in range(2))
    trial = torch.zeros(1, 3, 5, 64, 64)
    flops_of_pixel = 3 * count_flops(lambda: loss_of(shadow, trial)) / trial[:, 0].numel()
    shadow.to(args.device)
    start(vae, bank, args.seed, args.device, (8, 5, 64, 64) if args.smoke else (16, 9, 128, 128))
    if args.device != "cpu" or args.smoke:
        trial = in_last(torch.randn(max(1, shapes[0][0] // 4), 3, *shapes[0][1:], device=args.device))
        use_flat_convolutions(shadow, use_faster_convolutions(vae, lambda: loss_of(vae, trial)[0].backward()))
        vae.zero_grad(set_to_none=True)
    parts = [(m, args.encoder_rate) for m in (vae.encoder, vae.quant_conv)] + [(m, 1.0) for m in (vae.decoder, vae.post_quant_conv)]
    run = Run(vae, args.folder, args.rate, 60 * args.minutes, parts=parts)
    report = Report(run, os.path.join(args.folder, "vae_log.csv"), COLUMNS)
    dice = Dice(1_000_003 * args.seed + run.step, args.device)
    tested_s, frozen = run.spent_s, None
    while run.done < 1:
        if frozen != (run.done < args.linear):
            frozen = run.done < args.linear
            freeze_encoder(vae, frozen)
        video = make_batch(dice, bank, shapes, odds)
        loss, square, apart = loss_of(vae, video)
        norm = run.update(loss)
        report.add(len(video), flops_of_pixel * video[:, 0].numel(), loss=loss, square=square, apart=apart, norm=norm)
        if report.age_s > line_s:
            report.line()
        if run.spent_s - tested_s > export_s:
            tested_s = run.spent_s
            hand_over(run, shadow, bank, args, report)
    hand_over(run, shadow, bank, args, report)


if __name__ == "__main__":
    main()
