"""Held-out figures and a contact sheet: textures, shots and seeds that training never sees."""

import argparse
import os

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from PIL import Image

from conditions import condition, greyed, sample
from dice import Dice
from drafts import sample_draft
from loop import psnr
from masks import widen
from nets import autocast, decode, decode_normalised, encode, encode_normalised, lean, use_whole_clips
from shots import Bank, clips_of

HELD_OUT_SEED = 4_000_000_000
# clips, frames, height, width
SIZES = {"small": (12, 17, 128, 128), "large": (4, 25, 224, 384)}
SMOKE_SIZES = {"small": (2, 5, 64, 64), "large": (1, 9, 64, 96)}


def held_out(bank, device, size, blurred=0):
    return clips_of(Dice(HELD_OUT_SEED + size[1], device), bank, *size, held_out=True, blurred=blurred)


def in_parts(function, *tensors, most=4):
    """The function of a few clips at a time, to spare memory."""
    return torch.cat([function(*part) for part in zip(*(t.split(most) for t in tensors))])


@torch.no_grad()
def there_and_back(vae, video):
    """Pictures in [0, 1] through the VAE."""
    def one(x):
        with autocast(x.device):
            return decode(vae, encode(vae, 2 * x - 1)[:, :16]).float().clamp(-1, 1) / 2 + 0.5
    return in_parts(one, video)


@torch.no_grad()
def round_trips(vae, bank, device, sizes=SIZES):
    """dB of the VAE on the whole frame and in the roto."""
    scores = {}
    for name, size in sizes.items():
        clips = held_out(bank, device, size)
        made = there_and_back(vae, clips.video)
        scores[f"{name}_db"] = psnr(made, clips.video)
        scores[f"{name}_hero_db"] = psnr(made, clips.video, clips.roto)
    return scores


@torch.no_grad()
def generated(net, vae, shown, generate):
    """Pictures in [0, 1] made from a shown video and a mask, as the product samples."""
    def one(s, g):
        return decode_normalised(vae, sample(net, condition(vae, s, g))) / 2 + 0.5
    return in_parts(one, 2 * shown - 1, generate)


@torch.no_grad()
def generations(net, vae, bank, device, sizes=SIZES):
    """dB in the roto (after the first frame) and where paint is unknown: of drafts, of what is made of them, and of grey.

    Returns the scores and the clips of the last size: truth, through the VAE, draft, made of it, made of grey.
    """
    scores = {}
    for name, size in sizes.items():
        clips = held_out(bank, device, size)
        shown, generate = sample_draft(Dice(HELD_OUT_SEED + 1, device), clips)
        box = widen(clips.roto > 0.02, "box")
        box[:, 0] = False
        made = generated(net, vae, shown, generate)
        of_grey = generated(net, vae, greyed(2 * clips.video - 1, box) / 2 + 0.5, box)
        back = there_and_back(vae, clips.video)
        hero = clips.roto.clone()
        hero[:, 0] = 0
        unknown = generate * hero
        for what, x in (("draft", shown), ("made", made), ("vae", back)):
            scores[f"{name}_{what}_db"] = psnr(x, clips.video, hero)
            scores[f"{name}_{what}_unknown_db"] = psnr(x, clips.video, unknown)
        scores[f"{name}_grey_db"] = psnr(of_grey, clips.video, hero)
    return scores, (clips.video, back, shown, made, of_grey)


def sheet(pictures, path, clips=4):
    """Rows of clips: the first frame; then at the last frame truth, VAE, draft, made of it, made of grey."""
    columns = [pictures[0][:clips, :, 0]] + [p[:clips, :, -1] for p in pictures]
    rows = torch.cat([torch.cat(list(c), 1) for c in columns], 2)
    Image.fromarray((rows.clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).cpu().numpy()).save(path)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--bank", required=True)
    args.add_argument("--model", required=True, help="model folder with vae and transformer")
    args.add_argument("--sheet", required=True, help="contact sheet to write")
    args.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args.add_argument("--held-out", type=int, default=128, help="textures at the front of the bank for evaluations")
    args.add_argument("--smoke", action="store_true")
    args = args.parse_args()
    bank = Bank(args.bank, args.device, args.held_out)
    vae, net = load_vae(os.path.join(args.model, "vae"), args.device), load_transformer(os.path.join(args.model, "transformer"), args.device)
    sizes = SMOKE_SIZES if args.smoke else SIZES
    scores, pictures = generations(net, vae, bank, args.device, sizes)
    for name, score in (round_trips(vae, bank, args.device, sizes) | scores).items():
        print(f"{name} {score:.2f}", flush=True)
    sheet(pictures, args.sheet)


def load_vae(folder, device):
    vae = AutoencoderKLWan.from_pretrained(folder, torch_dtype=torch.float32)
    return use_whole_clips(vae).to(device).eval().requires_grad_(False)


def load_transformer(folder, device):
    net = WanTransformer3DModel.from_pretrained(folder, torch_dtype=torch.float32)
    return lean(net).to(device).eval().requires_grad_(False)


if __name__ == "__main__":
    main()
