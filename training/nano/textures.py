"""Textures, one a seed: flat graphic patterns here, natural-looking ones in `natural.py`; parts painted over them.

Pictures are display-like values in [0, 1], (3, side, side). numpy alone, so that many processes can make them.
"""

import numpy as np

import natural
from fields import axes, cloud, ramp, sample_colour, smooth_step, turned

GRAPHIC = ("noise", "stripes", "checks", "dots", "gradient", "blobs", "cells", "plain")


def sample(rng, side):
    """Any texture: two thirds natural, and often with a part painted over."""
    make = natural.sample if rng.random() < 0.65 else graphic
    texture = make(rng, side)
    for _ in range(rng.choice(3, p=[0.6, 0.3, 0.1])):
        texture = add_part(rng, texture, make)
    return np.clip(texture, 0, 1)


def contrasting_colour(rng, colour, least=0.9):
    for _ in range(20):
        other = sample_colour(rng)
        if np.abs(other - colour).sum() > least:
            return other
    return 1 - colour


def graphic(rng, side):
    y, x = axes(side)
    u, v = turned(x, y, rng.uniform(0, np.pi))
    period = np.exp(rng.uniform(np.log(10), np.log(64)))
    first = sample_colour(rng)
    colours = [first, contrasting_colour(rng, first, rng.uniform(0.3, 1)), sample_colour(rng)]
    kind = rng.choice(GRAPHIC)
    if kind == "noise":
        return ramp(0.5 + 0.3 * cloud(rng, side, period), colours)
    if kind == "stripes":
        edge = rng.uniform(1.2, period / 3)
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
        return ramp(smooth_step(cloud(rng, side, 1.5 * period, 0.3) * period / 8 + 0.5), colours[:2])
    if kind == "cells":
        n = int(rng.integers(3, 12))
        sites = rng.uniform(0, side, (n, 2)).astype(np.float32)
        far = np.hypot(x[None] - sites[:, 0, None, None], y[None] - sites[:, 1, None, None])
        weight = np.exp(-(far - far.min(0)) / 1.2)
        weight /= weight.sum(0)
        return np.einsum("nyx,nc->cyx", weight, np.stack([sample_colour(rng) for _ in range(n)])).astype(np.float32)
    shade = 0.04 * cloud(rng, side, 40)
    return np.clip(first[:, None, None] + shade, 0, 1).astype(np.float32)


def add_part(rng, texture, make=graphic):
    """Paints a half, a band, a badge, a quarter or a blot over a texture."""
    side = texture.shape[1]
    y, x = axes(side)
    u, v = turned(x * 2 / side - 1, y * 2 / side - 1, rng.uniform(0, 2 * np.pi))
    kind = rng.choice(["half", "band", "badge", "quarter", "blot"])
    if kind == "half":
        depth = u - rng.uniform(-0.25, 0.25)
    elif kind == "band":
        depth = rng.uniform(0.08, 0.35) - np.abs(u - rng.uniform(-0.3, 0.3))
    elif kind == "badge":
        depth = rng.uniform(0.15, 0.5) - np.hypot(u - rng.uniform(0, 0.4), v)
    elif kind == "quarter":
        depth = np.minimum(u, v)
    else:
        depth = 0.3 + 0.3 * cloud(rng, side, side / 2, 0.3) - np.hypot(u, v) * 0.5
    weight = smooth_step(depth * side / 4 + 0.5)
    if rng.random() < 0.5:
        paint = make(rng, side)
    else:
        mean = (texture * weight).sum((1, 2)) / max(weight.sum(), 1)
        paint = np.broadcast_to(contrasting_colour(rng, mean, 0.5)[:, None, None], texture.shape)
    return (texture * (1 - weight) + paint * weight).astype(np.float32)
