"""Procedural shots, many at once on one device: textured surfaces that move, turn, bend and hide each other.

Pictures are display-like values in [0, 1], (b, 3, t, h, w). The roto is the visible coverage of the hero, (b, t, h, w).
"""

from dataclasses import dataclass

import numpy as np
import torch

from dice import per_clip
from light import Light, recolour, sample_light
from surface import Place, Surface, colour_of, locate, sample_surface


class Bank:
    """Textures on the device. Held-out ones are at the front, as `bank.py` puts them."""

    def __init__(self, path, device, held_out=128):
        pictures = torch.from_numpy(np.load(path))
        if not len(pictures) > held_out:
            raise ValueError(f"{path} holds {len(pictures)} textures, no more than the {held_out} held out")
        self.held_out, self.training = pictures[:held_out].to(device), pictures[held_out:].to(device)

    def draw(self, dice, count, held_out=False):
        """`count` textures as floats, mirrored and recoloured; half of them with a part of another."""
        source = self.held_out if held_out else self.training
        pick = source[dice.below(len(source), 2, count)].float() / 255
        pick = torch.where(dice.chance(0.5, 2, count, 1, 1, 1), pick, pick.flip(-1))
        first, second = recolour(dice, pick[0]), recolour(dice, pick[1])
        x = torch.linspace(-1, 1, first.shape[-1], device=dice.device)
        way, off = dice.directions(count), per_clip(dice.uniform(-0.5, 0.5, count), 2)
        depth = per_clip(way[:, 0], 2) * x + per_clip(way[:, 1], 2) * x[:, None] - off
        share = (depth * len(x) / 7 + 0.5).clamp(0, 1) * per_clip(dice.chance(0.4, count), 2)
        return torch.lerp(first, second, share[:, None])


@dataclass
class Shot:
    hero: Surface
    other: Surface
    other_shown: torch.Tensor  # (b,) bool
    other_in_front: torch.Tensor  # (b,) bool
    ground: Surface
    light: Light
    grain: torch.Tensor  # (b,)


@dataclass
class Clips:
    """Rendered shots: the picture, the same before light, the hero's own colour everywhere, its roto and places."""

    video: torch.Tensor
    unlit: torch.Tensor
    paint: torch.Tensor
    roto: torch.Tensor
    place: Place
    light: Light


def sample_shots(dice, bank, clips, frames, height, width, held_out=False):
    hero, other, ground = (bank.draw(dice, clips, held_out) for _ in range(3))
    shot = Shot(
        hero=sample_surface(dice, hero, height, width, frames),
        other=sample_surface(dice, other, height, width, frames, balls=0.15, large=(0.1, 0.35), long=0.5),
        other_shown=dice.chance(0.4, clips), other_in_front=dice.chance(0.6, clips),
        ground=sample_surface(dice, ground, height, width, frames, balls=0.0),
        light=sample_light(dice, clips, frames, height, width),
        grain=torch.where(dice.chance(0.2, clips), dice.uniform(0, 0.012, clips), 0.0))
    calm(dice, shot.ground, frames)
    return shot


def calm(dice, ground, frames):
    """A background moves as a camera does: little, and without an outline."""
    b = len(ground.size)
    middle = ground.path.mean(-1, keepdim=True)
    pan = dice.directions(b)[..., None] * per_clip(dice.uniform(0, 2.0, b) * (frames - 1), 2)
    ground.path = middle + pan * torch.tensor([-0.5, 0.5], device=pan.device)
    ground.turn = ground.turn * torch.tensor([1.0, 0.15], device=pan.device)
    ground.size = torch.full_like(ground.size, 256.0)
    ground.grow, ground.squeeze, ground.sway = ground.grow * 0.5, ground.squeeze * 0, ground.sway * 0.3
    ground.waves, ground.tilt = ground.waves * 0, ground.tilt * 0.5


def render(dice, shot, frames, height, width, shutter=1):
    """With `shutter` above 1 that many moments of half a frame's time make motion blur."""
    gap = 1 / max(1, frames - 1)
    first = torch.linspace(0, 1, frames, device=dice.device)
    unlit = paint = roto = 0
    for moment in range(shutter):
        times = first + gap * 0.5 * (moment / shutter - 0.5 * (shutter > 1))
        *layers, place = draw_moment(shot, times, height, width)
        unlit, paint, roto = (total + layer / shutter for total, layer in zip((unlit, paint, roto), layers))
    video = shot.light.on(unlit)
    video = (video + per_clip(shot.grain, 4) * dice.normal(*video.shape)).clamp(0, 1)
    return Clips(video, unlit, paint, roto, place, shot.light)


def draw_moment(shot, times, height, width):
    """Unlit picture, the hero's colour, its visible coverage, and its place."""
    back = locate(shot.ground, times, height, width)
    picture = colour_of(shot.ground.texture, back.uv)
    hero, other = (locate(s, times, height, width) for s in (shot.hero, shot.other))
    paint, second = colour_of(shot.hero.texture, hero.uv), colour_of(shot.other.texture, other.uv)
    shown = other.cover * per_clip(shot.other_shown, 3)
    behind = (shown * per_clip(~shot.other_in_front, 3))[:, None]
    front = (shown * per_clip(shot.other_in_front, 3))[:, None]
    picture = torch.lerp(picture, second, behind)
    picture = torch.lerp(picture, paint, hero.cover[:, None])
    picture = torch.lerp(picture, second, front)
    return [picture, paint, hero.cover * (1 - front[:, 0]), hero]


def clips_of(dice, bank, count, frames, height, width, held_out=False, blurred=0.15):
    shot = sample_shots(dice, bank, count, frames, height, width, held_out)
    return render(dice, shot, frames, height, width, 3 if dice.host.random() < blurred else 1)
