"""Procedural shots: a textured object that moves and turns over a moving background, its roto mask, and repainted twins.

Everything is a function of one numpy Generator, so a seed names a shot. Pictures are display-like values in [0, 1].
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

SHAPES = ("ellipse", "polygon", "box", "blob")
MASKS = ("silhouette", "box", "union", "big box", "whole frame")


@dataclass
class Thing:
    """An object: a star-shaped outline, a texture in its own coordinates, and one pose per frame."""

    outline: torch.Tensor  # (256,) radius over angle, in pixels
    texture: torch.Tensor  # (3, S, S) covering [-reach, reach] on both axes
    reach: float
    poses: np.ndarray  # (frames, 6): x, y, angle, scale, squeeze, squeeze axis
    light: np.ndarray  # (frames,) gain


@dataclass
class Shot:
    height: int
    width: int
    background: torch.Tensor  # (3, S, S), one texel per pixel at scale 1
    camera: np.ndarray  # (frames, 4): x, y, angle, scale
    hero: Thing
    other: Thing | None
    other_in_front: bool


def sample_shot(rng, frames, height, width, second=0.2):
    """Draws a shot. Motions are smooth; the hero stays mostly inside the frame."""
    size = min(height, width)
    hero = sample_thing(rng, frames, height, width, rng.uniform(0.2, 0.38) * size)
    other = sample_thing(rng, frames, height, width, rng.uniform(0.1, 0.25) * size) if rng.random() < second else None
    side = int(1.3 * max(height, width))
    background = torch.from_numpy(sample_texture(rng, side, calm=rng.random() < 0.8))
    return Shot(height, width, background, sample_camera(rng, frames), hero, other, rng.random() < 0.25)


def sample_thing(rng, frames, height, width, radius):
    outline = sample_outline(rng) * radius
    reach = float(outline.max()) * 1.05
    side = max(16, int(2 * reach))
    texture = sample_texture(rng, side)
    for _ in range(rng.choice(4, p=[0.25, 0.4, 0.25, 0.1])):
        texture = add_part(rng, texture)
    return Thing(torch.from_numpy(outline.astype(np.float32)), torch.from_numpy(texture), reach,
                 sample_poses(rng, frames, height, width, radius), sample_light(rng, frames))


def repaint(rng, thing, parts=1):
    """The same object with parts painted over in strongly different colours."""
    texture = thing.texture.numpy()
    for _ in range(parts):
        texture = add_part(rng, texture, strong=True)
    return replace(thing, texture=torch.from_numpy(texture))


# -- motion ---------------------------------------------------------------------------------------------------------

def sample_poses(rng, frames, height, width, radius):
    t = np.arange(frames)
    margin = 0.75 * radius
    start = np.array([rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)])
    speed, heading = rng.uniform(0, 0.035) * min(height, width), rng.uniform(0, 2 * np.pi)
    drift = speed * np.array([np.cos(heading), np.sin(heading)])
    for axis, limit in enumerate((width, height)):  # turn back rather than leave the frame
        if not margin * 0.6 < start[axis] + drift[axis] * (frames - 1) < limit - margin * 0.6:
            drift[axis] *= -1 if margin * 0.6 < start[axis] - drift[axis] * (frames - 1) < limit - margin * 0.6 else 0.3
    sway = rng.uniform(0, 0.05) * min(height, width) * rng.normal(size=2)
    wave = np.sin(2 * np.pi * t / rng.uniform(12, 40))[:, None]
    xy = start + drift * t[:, None] + sway * wave
    turn = np.deg2rad(rng.uniform(-6, 6)) * (rng.random() < 0.8)
    angle = rng.uniform(0, 2 * np.pi) + turn * t + np.deg2rad(rng.uniform(-12, 12)) * wave[:, 0] * (rng.random() < 0.5)
    scale = np.exp(rng.uniform(-0.015, 0.015) * t * (rng.random() < 0.5))
    squeeze = np.ones(frames)
    if rng.random() < 0.25:  # foreshortening of a turn about an axis in the picture plane
        squeeze = np.cos(np.deg2rad(rng.uniform(-3, 3)) * t + np.deg2rad(rng.uniform(-20, 20)))
    axis = np.full(frames, rng.uniform(0, np.pi))
    return np.stack([xy[:, 0], xy[:, 1], angle, scale, squeeze, axis], 1)


def sample_camera(rng, frames):
    t = np.arange(frames)
    pan = rng.normal(size=2) * rng.uniform(0, 1.6)
    angle = rng.uniform(0, 2 * np.pi) + np.deg2rad(rng.uniform(-1.5, 1.5)) * t * (rng.random() < 0.5)
    scale = np.exp(rng.uniform(-0.01, 0.01) * t * (rng.random() < 0.5))
    return np.stack([pan[0] * t, pan[1] * t, angle, scale], 1)


def sample_light(rng, frames):
    if rng.random() < 0.8:
        return np.ones(frames)
    return 1 + rng.uniform(0, 0.15) * np.sin(np.arange(frames) / rng.uniform(3, 12) + rng.uniform(0, 6))


# -- looks ----------------------------------------------------------------------------------------------------------

def sample_outline(rng):
    """Radius over 256 angles, at most about 1."""
    theta = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    kind = rng.choice(SHAPES)
    if kind == "ellipse":
        a, b = 1.0, rng.uniform(0.55, 1)
        return a * b / np.sqrt((b * np.cos(theta)) ** 2 + (a * np.sin(theta)) ** 2)
    if kind == "box":
        a, b = 1.0, rng.uniform(0.45, 1)
        p = rng.uniform(4, 12)  # superellipse: a box with rounded corners
        return 0.85 / ((np.abs(np.cos(theta)) / a) ** p + (np.abs(np.sin(theta)) / b) ** p) ** (1 / p)
    if kind == "polygon":
        n = rng.integers(3, 8)
        corner = 2 * np.pi / n
        return np.minimum(1, np.cos(corner / 2) / np.cos((theta % corner) - corner / 2) * rng.uniform(1, 1.1))
    wobble = sum(rng.normal() * 0.22 / k * np.cos(k * theta + rng.uniform(0, 6)) for k in range(2, 6))
    return np.clip(0.8 + wobble, 0.45, 1.1)


def sample_colour(rng):
    hue, saturation, value = rng.random(), rng.beta(2, 1.5), rng.uniform(0.12, 1)
    rgb = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation + saturation * rgb)).astype(np.float32)


def contrasting_colour(rng, colour, least=0.9):
    for _ in range(20):
        other = sample_colour(rng)
        if np.abs(other - colour).sum() > least:
            return other
    return 1 - colour


def smooth_step(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def ramp(field, colours):
    """Colours over a field in [0, 1], linear between stops. (S, S) -> (3, S, S)"""
    at = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(field, at, [c[k] for c in colours]) for k in range(3)]).astype(np.float32)


def noise(rng, side, cell, octaves=3):
    """Octave noise with unit-ish range around 0, features of about `cell` pixels."""
    total = np.zeros((side, side), np.float32)
    for k in range(octaves):
        n = max(2, int(np.ceil(side * 2**k / cell)) + 2)
        grid = torch.from_numpy(rng.normal(size=(1, 1, n, n)).astype(np.float32))
        total += 0.5**k * F.interpolate(grid, (side, side), mode="bicubic", align_corners=True)[0, 0].numpy()
    return total


def sample_texture(rng, side, calm=False):
    """(3, side, side). `calm` keeps features large, as most backgrounds do."""
    y, x = np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32), indexing="ij")
    a = rng.uniform(0, np.pi)
    u, v = x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)
    low = 30 if calm else 18
    period = np.exp(rng.uniform(np.log(low), np.log(max(48, 2 * low))))
    first = sample_colour(rng)
    colours = [first, contrasting_colour(rng, first, rng.uniform(0.3, 1)), sample_colour(rng)]
    kind = rng.choice(["noise", "stripes", "checks", "dots", "gradient", "blobs", "cells", "plain"])
    if kind == "noise":
        return ramp(0.5 + 0.3 * noise(rng, side, period), colours)
    if kind == "stripes":
        edge = rng.uniform(1.5, period / 3)
        s = (np.abs((u / period) % 1 - 0.5) - rng.uniform(0.15, 0.35)) * period / edge + 0.5
        return ramp(smooth_step(s), colours[:2])
    if kind == "checks":
        s = np.sin(2 * np.pi * u / period) * np.sin(2 * np.pi * v / period) * period / 8 + 0.5
        return ramp(np.clip(s, 0, 1), colours[:2])
    if kind == "dots":
        d = np.hypot((u % period) - period / 2, (v % period) - period / 2)
        return ramp(smooth_step((d - rng.uniform(0.2, 0.38) * period) / 2 + 0.5), colours[:2])
    if kind == "gradient":
        return ramp((u - u.min()) / (u.max() - u.min()), colours[: rng.integers(2, 4)])
    if kind == "blobs":
        return ramp(smooth_step(noise(rng, side, 1.5 * period, 2) * period / 8 + 0.5), colours[:2])
    if kind == "cells":
        n = int(rng.integers(3, 9))
        sites = rng.uniform(0, side, (n, 2)).astype(np.float32)
        far = np.hypot(x[None] - sites[:, 0, None, None], y[None] - sites[:, 1, None, None])
        weight = np.exp(-(far - far.min(0)) / 1.2)
        weight /= weight.sum(0)
        return np.einsum("nyx,nc->cyx", weight, np.stack([sample_colour(rng) for _ in range(n)])).astype(np.float32)
    shade = 0.04 * noise(rng, side, 40, 2)
    return np.clip(first[:, None, None] + shade, 0, 1).astype(np.float32)


def add_part(rng, texture, strong=False):
    """Paints a half, a band, a badge, a quarter or a blot over a texture."""
    side = texture.shape[1]
    y, x = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side), indexing="ij")
    a = rng.uniform(0, 2 * np.pi)
    u, v = x * np.cos(a) + y * np.sin(a), -x * np.sin(a) + y * np.cos(a)
    kind = rng.choice(["half", "band", "badge", "quarter", "blot"])
    if kind == "half":
        depth = u - rng.uniform(-0.25, 0.25)
    elif kind == "band":
        depth = rng.uniform(0.18, 0.35) - np.abs(u - rng.uniform(-0.3, 0.3))
    elif kind == "badge":
        depth = rng.uniform(0.3, 0.5) - np.hypot(u - rng.uniform(0, 0.4), v)
    elif kind == "quarter":
        depth = np.minimum(u, v)
    else:
        depth = 0.3 + 0.5 * noise(rng, side, side / 2, 1) - np.hypot(u, v) * 0.5
    weight = smooth_step(depth * side / 2 / 2 + 0.5)
    mean = (texture * weight).sum((1, 2)) / max(weight.sum(), 1)
    colour = contrasting_colour(rng, mean, 1.1 if strong else 0.5)
    paint = np.broadcast_to(colour[:, None, None], texture.shape)
    if rng.random() < 0.4:
        other = sample_texture(rng, side)
        paint = 0.6 * paint + 0.4 * other if strong else other
    return (texture * (1 - weight) + paint * weight).astype(np.float32)


# -- rendering ------------------------------------------------------------------------------------------------------

def render(shot):
    """Video (frames, 3, height, width) in [0, 1] and the hero's visible coverage (frames, height, width)."""
    y, x = torch.meshgrid(torch.arange(shot.height) + 0.5, torch.arange(shot.width) + 0.5, indexing="ij")
    video = render_background(shot, x, y)
    layers = [(shot.hero, True)]
    if shot.other is not None:
        layers.insert(1 if shot.other_in_front else 0, (shot.other, False))
    roto = torch.zeros(video.shape[0], shot.height, shot.width)
    for thing, is_hero in layers:
        colour, cover = render_thing(thing, x, y)
        video = video + cover[:, None] * (colour - video)
        roto = cover if is_hero else roto * (1 - cover)
    return video.clamp(0, 1), roto


def render_background(shot, x, y):
    side = shot.background.shape[1]
    c = torch.from_numpy(shot.camera.astype(np.float32))[:, :, None, None]
    cos, sin = torch.cos(c[:, 2]) / c[:, 3], torch.sin(c[:, 2]) / c[:, 3]
    dx, dy = x - shot.width / 2 - c[:, 0], y - shot.height / 2 - c[:, 1]
    grid = torch.stack([cos * dx + sin * dy, cos * dy - sin * dx], -1) / (side / 2)
    texture = shot.background[None].expand(len(c), -1, -1, -1)
    return F.grid_sample(texture, grid, padding_mode="reflection", align_corners=False)


def render_thing(thing, x, y):
    p = torch.from_numpy(thing.poses.astype(np.float32))[:, :, None, None]
    dx, dy = x - p[:, 0], y - p[:, 1]
    along = dx * torch.cos(p[:, 5]) + dy * torch.sin(p[:, 5])
    push = along * (1 / p[:, 4] - 1)  # undo the squeeze along its axis
    dx, dy = dx + push * torch.cos(p[:, 5]), dy + push * torch.sin(p[:, 5])
    cos, sin = torch.cos(p[:, 2]) / p[:, 3], torch.sin(p[:, 2]) / p[:, 3]
    u, v = cos * dx + sin * dy, cos * dy - sin * dx
    turn = torch.atan2(v, u) / (2 * torch.pi) % 1 * 256
    low = turn.long() % 256
    radius = torch.lerp(thing.outline[low], thing.outline[(low + 1) % 256], turn - turn.floor())
    cover = ((radius - torch.hypot(u, v)) * p[:, 3] + 0.5).clamp(0, 1)
    texture = thing.texture[None].expand(len(p), -1, -1, -1)
    colour = F.grid_sample(texture, torch.stack([u, v], -1) / thing.reach, padding_mode="border", align_corners=False)
    light = torch.from_numpy(thing.light.astype(np.float32))[:, None, None, None]
    return (colour * light).clamp(0, 1), cover


# -- generation masks -----------------------------------------------------------------------------------------------

def sample_generation_mask(rng, roto, kinds=MASKS, odds=(0.35, 0.4, 0.12, 0.09, 0.04)):
    """Where to generate, as bool (frames, height, width): a random widening of the roto."""
    return widen(roto > 0.02, rng.choice(kinds, p=odds), int(rng.integers(1, 9)), rng.uniform(0.05, 0.2), int(rng.integers(1, 4)))


def widen(inside, kind, grow=4, margin=0.1, window=2):
    if kind == "whole frame":
        return torch.ones_like(inside)
    if kind == "silhouette":
        return dilate(inside, grow)
    if kind == "union":
        soft = inside.float().flatten(1).T[None]  # (1, pixels, frames)
        soft = F.max_pool1d(soft, 2 * window + 1, 1, window)
        return dilate(soft[0].T.reshape(inside.shape) > 0, grow)
    return boxes(inside, 2.5 * margin if kind == "big box" else margin)


def dilate(inside, grow):
    return F.max_pool2d(inside.float()[:, None], 2 * grow + 1, 1, grow)[:, 0] > 0


def boxes(inside, margin):
    """A box round each frame's mask, grown by `margin` of its size on every side."""
    frames, height, width = inside.shape
    out = torch.zeros_like(inside)
    for f in range(frames):
        rows, cols = inside[f].any(1).nonzero(), inside[f].any(0).nonzero()
        if len(rows) == 0:
            continue
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
        gy, gx = int(margin * (bottom - top)) + 1, int(margin * (right - left)) + 1
        out[f, max(0, top - gy):bottom + gy, max(0, left - gx):right + gx] = True
    return out
