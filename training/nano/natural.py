"""Textures that look like something grown, cut, woven or printed. (3, side, side) in about [0, 1]"""

import numpy as np

from fields import at, axes, cloud, fibres, fractal, palette, ramp, sample_colour, smooth_step, turned, warped


def sample(rng, side):
    """One of the families, now and then with the light and dirt that real surfaces have."""
    texture = FAMILIES[rng.choice(len(FAMILIES), p=ODDS)](rng, side)
    if rng.random() < 0.4:
        texture = texture * (1 + rng.uniform(0.03, 0.15) * fractal(rng, side, rng.uniform(0.8, 1.6)))
    return np.clip(texture, 0, 1).astype(np.float32)


def span(field, spread=2.2):
    """A field of spread 1 as numbers in [0, 1]."""
    return np.clip(0.5 + field / (2 * spread), 0, 1)


def rock(rng, side):
    field = fractal(rng, side, rng.uniform(0.9, 1.9))
    field = at(field, *warped(rng, side, rng.uniform(0, 14), rng.uniform(20, 70)))
    return ramp(span(field), palette(rng, 4)) + 0.06 * rng.normal() * fractal(rng, side, 0.9)


def marble(rng, side):
    y, x = axes(side)
    u, _ = turned(x, y, rng.uniform(0, np.pi))
    turbulence = np.abs(fractal(rng, side, rng.uniform(1.2, 1.8)))
    veins = np.abs(np.sin(u * rng.uniform(0.015, 0.07) + rng.uniform(1, 3.5) * turbulence))
    return ramp(veins ** rng.uniform(0.25, 1.2), palette(rng, 4))


def wood(rng, side):
    y, x = axes(side)
    angle = rng.uniform(0, np.pi)
    u, v = turned(x - side / 2, y - side / 2, angle)
    u, v = u + rng.uniform(-1, 1) * side, v + rng.uniform(-0.6, 0.6) * side
    rings = np.hypot(v, u * rng.uniform(0.02, 0.25)) / rng.uniform(4, 20) + rng.uniform(0.2, 1.2) * cloud(rng, side, 50, 0.3)
    tone = (rings % 1) ** rng.uniform(0.7, 3)
    grain = fibres(rng, side, rng.uniform(15, 50), rng.uniform(0.6, 2), angle)
    return ramp(np.clip(0.75 * tone + 0.12 + rng.uniform(0.03, 0.12) * grain, 0, 1), palette(rng, 3))


def skin(rng, side):
    tone = np.array([rng.uniform(0.35, 0.95), 0, 0], np.float32)
    tone[1] = tone[0] * rng.uniform(0.6, 0.85)
    tone[2] = tone[1] * rng.uniform(0.65, 0.95)
    pores = cloud(rng, side, rng.uniform(1.5, 5), 0) - cloud(rng, side, rng.uniform(5, 9), 0)
    creases = np.abs(fibres(rng, side, 14, 2.5, rng.uniform(0, np.pi)))
    light = 1 + 0.05 * cloud(rng, side, 80, 0.2) + rng.uniform(0.005, 0.03) * pores - rng.uniform(0, 0.04) * creases
    blush = span(cloud(rng, side, rng.uniform(25, 70), 0.4))
    freckles = smooth_step((cloud(rng, side, rng.uniform(4, 9), 0) - rng.uniform(1.6, 2.6)) * 2) * rng.uniform(0, 0.35)
    red = np.array([0.05, -0.05, -0.04], np.float32)[:, None, None] * blush
    return (tone[:, None, None] + red) * light * (1 - freckles)


def weave(rng, side):
    y, x = warped(rng, side, rng.uniform(0, 4), rng.uniform(30, 80))
    u, v = turned(x, y, rng.uniform(0, np.pi))
    pitch, slant = rng.uniform(4, 18), int(rng.integers(1, 4))
    i, j = np.floor(u / pitch), np.floor(v / pitch)
    over = ((i + slant * j) % (slant + 1)) < 1
    across, along = (u / pitch) % 1 - 0.5, (v / pitch) % 1 - 0.5
    near, length = np.where(over, across, along), np.where(over, along, across)
    light = np.sqrt(np.clip(1 - 3.2 * near**2, 0, 1)) * (1 - 0.9 * length**2)
    warp, weft = sample_colour(rng), sample_colour(rng)
    bands = (np.floor((u if rng.random() < 0.5 else v) / (pitch * rng.integers(3, 9))) % 2) * rng.uniform(0, 0.5)
    colour = np.where(over, warp[:, None, None], weft[:, None, None]) * (1 - bands)
    return colour * (0.3 + 0.7 * light) * (1 + 0.06 * cloud(rng, side, 3, 0.8))


def print_(rng, side):
    """Rows of letter-like marks: strokes on a small grid, some lines larger, as in posters and labels."""
    ink = np.zeros((side, side), np.float32)
    top = 0
    while top < side:
        height = int(np.exp(rng.uniform(np.log(7), np.log(side / 5))))
        left = int(rng.integers(0, 3 * height))
        while left < side:
            if rng.random() < 0.15:
                left += height // 2
                continue
            mark = letter(rng, height)
            rows, cols = min(mark.shape[0], side - top), min(mark.shape[1], side - left)
            ink[top:top + rows, left:left + cols] = mark[:rows, :cols]
            left += mark.shape[1] + max(1, height // 6)
        top += int(height * rng.uniform(1.2, 1.7)) + 1
    y, x = warped(rng, side, rng.uniform(0, 3), 60)
    u, v = turned(x, y, rng.choice([0, np.pi / 2]) + rng.normal() * 0.15)
    ink = at(ink, v, u)[None]
    paper = rock(rng, side) if rng.random() < 0.4 else np.broadcast_to(sample_colour(rng)[:, None, None], (3, side, side))
    pigment = np.clip(1 - paper.mean((1, 2)) + 0.4 * rng.normal(size=3), 0, 1).astype(np.float32)[:, None, None]
    return paper + ink * (pigment - paper)


def letter(rng, height):
    width = max(3, int(height * rng.uniform(0.45, 0.8)))
    y, x = np.meshgrid(np.linspace(0, 2, height), np.linspace(0, 1.4, width), indexing="ij")
    pen = rng.uniform(0.16, 0.26)
    nearest = np.full((height, width), 9.0)
    for _ in range(rng.integers(2, 5)):
        (y0, y1), (x0, x1) = rng.choice([0.15, 1, 1.85], 2), rng.choice([0.15, 0.7, 1.25], 2)
        if rng.random() < 0.3:  # a bow
            away = np.abs(np.hypot((y - (y0 + y1) / 2), (x - 0.7) * 1.3) - 0.5)
        else:
            along = np.clip(((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / ((y1 - y0) ** 2 + (x1 - x0) ** 2 + 1e-6), 0, 1)
            away = np.hypot(y - y0 - along * (y1 - y0), x - x0 - along * (x1 - x0))
        nearest = np.minimum(nearest, away)
    return smooth_step((pen - nearest) * height / 2 + 0.5).astype(np.float32)


def leaves(rng, side):
    """Shapes of all sizes that hide each other, each with its own shade: the statistics of many photographs."""
    picture = ramp(span(fractal(rng, side, 1.4)), palette(rng, 3))
    colours = palette(rng, 5) + [sample_colour(rng)] * int(rng.integers(0, 3))
    smallest, pointed = rng.uniform(3, 8), rng.random() < 0.6
    for _ in range(int(rng.integers(60, 220))):
        radius = min(side / 3, smallest / rng.uniform(0.02, 1) ** 0.7)
        cy, cx = rng.uniform(0, side, 2)
        top, left = max(0, int(cy - radius)), max(0, int(cx - radius))
        y, x = np.meshgrid(np.arange(top, min(side, int(cy + radius) + 1), dtype=np.float32) - np.float32(cy),
                           np.arange(left, min(side, int(cx + radius) + 1), dtype=np.float32) - np.float32(cx), indexing="ij")
        if not y.size:
            continue
        u, v = turned(x, y, rng.uniform(0, 2 * np.pi))
        u, v = u / radius, v / radius
        half = rng.uniform(0.25, 0.6) * (1 - u**2) if pointed else np.sqrt(np.clip(1 - u**2, 0, 1)) * rng.uniform(0.4, 1)
        cover = np.clip((half - np.abs(v)) * radius * 0.7 + 0.3, 0, 1)
        rib = 1 - 0.25 * np.exp(-((v * radius) ** 2)) - 0.08 * np.sin((u + np.abs(v)) * radius * rng.uniform(0.3, 1.2))
        light = (1 + rng.uniform(-0.4, 0.4) * v + rng.uniform(-0.2, 0.2) * u) * (rib if pointed else 1)
        colour = colours[rng.integers(len(colours))] * rng.uniform(0.6, 1.2)
        part = picture[:, top:top + y.shape[0], left:left + y.shape[1]]
        part += cover * (colour[:, None, None] * light - part)
    return picture


def strokes(rng, side):
    """Paint drawn along a flowing direction."""
    colours = palette(rng, 4) if rng.random() < 0.5 else [sample_colour(rng) for _ in range(4)]
    angle = cloud(rng, side, rng.uniform(60, 160), 0.2) * rng.uniform(0.3, 1.5) + rng.uniform(0, np.pi)
    dots = cloud(rng, side, rng.uniform(1.5, 5), 0)
    tone = cloud(rng, side, rng.uniform(25, 70), 0.4)
    y, x = axes(side)
    field, step, taps = np.zeros_like(dots), rng.uniform(1, 2.5), 9
    for sign in (-1, 1):
        py, px = y.copy(), x.copy()
        for _ in range(taps):
            turn = at(angle, py, px)
            py, px = py + sign * step * np.sin(turn), px + sign * step * np.cos(turn)
            field += at(dots, py, px)
    field /= field.std()
    return ramp(span(0.8 * tone + rng.uniform(0.4, 1) * field), colours)


def stones(rng, side):
    """Pebbles or scales: cells with rounded light, wrapped round."""
    pitch = rng.uniform(8, 40)
    n = max(3, int(side / pitch))
    jitter = rng.uniform(0.1, 0.9)
    sites = (np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1) + 0.5
             + jitter * rng.uniform(-0.5, 0.5, (n, n, 2))) * side / n
    y, x = warped(rng, side, rng.uniform(0, 3), 25)
    i, j = np.floor(y * n / side).astype(int), np.floor(x * n / side).astype(int)
    first, second = np.full((side, side), 1e9, np.float32), np.full((side, side), 1e9, np.float32)
    owner = np.zeros((side, side), int)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            a, b = (i + di) % n, (j + dj) % n
            sy, sx = sites[a, b, 0] + side * ((i + di) // n), sites[a, b, 1] + side * ((j + dj) // n)
            d = np.hypot(y - sy, x - sx).astype(np.float32)
            nearer = d < first
            second = np.where(nearer, first, np.minimum(second, d))
            owner = np.where(nearer, a * n + b, owner)
            first = np.where(nearer, d, first)
    colours = np.stack(palette(rng, 5))[rng.integers(5, size=n * n)] * rng.uniform(0.7, 1.2, (n * n, 1))
    rim = smooth_step((second - first) / rng.uniform(2, 6))
    light = (0.25 + 0.75 * rim) * (1.1 - rng.uniform(0.2, 0.7) * first * n / side)
    return np.moveaxis(colours[owner], -1, 0) * light * (1 + 0.08 * fractal(rng, side, 0.9))


def fur(rng, side):
    angle = rng.uniform(0, np.pi)
    hairs = fibres(rng, side, rng.uniform(8, 25), rng.uniform(0.8, 2.2), angle)
    hairs = at(hairs, *warped(rng, side, rng.uniform(2, 12), rng.uniform(30, 90)))
    return ramp(span(0.7 * hairs + 0.7 * cloud(rng, side, 50, 0.5)), palette(rng, 4))


FAMILIES = (rock, marble, wood, skin, weave, print_, leaves, strokes, stones, fur)
ODDS = (0.15, 0.07, 0.1, 0.1, 0.1, 0.12, 0.14, 0.08, 0.08, 0.06)
