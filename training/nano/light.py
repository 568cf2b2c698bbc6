"""Looks and light: recoloured textures, gains, shadow edges, highlights and veils."""

from dataclasses import dataclass

import torch

from dice import per_clip


def recolour(dice, texture, kept=0.4):
    """A random map of colours for each picture (b, 3, h, w): mixed channels, or a palette by brightness."""
    b = len(texture)
    rows = dice.uniform(-1, 1, b, 3, 3)
    rows = rows / rows.norm(dim=-1, keepdim=True).clamp_min(1e-3) * dice.uniform(0.5, 1.4, b, 3, 1)
    mixed = torch.einsum("bij,bjhw->bihw", rows, texture - 0.5) + dice.uniform(0.2, 0.8, b, 3, 1, 1)
    weights = dice.uniform(0.1, 1, b, 3, 1, 1)
    light = ((texture * weights).sum(1) / weights.sum(1)).clamp(0, 1)
    at = (2 * (light - 0.5) + 0.5).clamp(0, 1) * 4
    low = at.floor().clamp_max(3)
    stops = dice.uniform(0, 1, b, 3, 5)
    index = low.long().flatten(1)[:, None].expand(-1, 3, -1)
    part = (at - low).flatten(1)[:, None]
    read = (torch.gather(stops, 2, index) * (1 - part) + torch.gather(stops, 2, index + 1) * part).view_as(texture)
    kind = per_clip(dice.uniform(0, 1, b), 3)
    return torch.where(kind < kept, texture, torch.where(kind < kept + 0.4, mixed, read)).clamp(0, 1)


@dataclass
class Light:
    """What falls on a clip and what lies before it: picture x gain + glow, then the veil over that. (b, c, t, h, w)"""

    gain: torch.Tensor
    glow: torch.Tensor
    veil: torch.Tensor
    veil_colour: torch.Tensor

    def on(self, picture):
        lit = (picture * self.gain + self.glow).clamp(0, 1)
        return lit + self.veil * (self.veil_colour - lit)


def sample_light(dice, b, frames, height, width):
    size, device = (frames, height, width), dice.device
    t = torch.linspace(0, 1, frames, device=device).view(1, 1, -1, 1, 1)
    y = torch.linspace(-1, 1, height, device=device).view(1, 1, 1, -1, 1) * (height / width)
    x = torch.linspace(-1, 1, width, device=device).view(1, 1, 1, 1, -1)

    def some(odds, value):
        return per_clip(torch.where(dice.chance(odds, b), value, 0.0), 4)

    flicker = 1 + some(0.3, dice.uniform(-0.25, 0.25, b)) * torch.sin(per_clip(dice.uniform(1, 8, b), 4) * t + per_clip(dice.uniform(0, 6, b), 4))
    way = dice.directions(b)
    across = per_clip(way[:, 0], 4) * x + per_clip(way[:, 1], 4) * y - per_clip(dice.uniform(-0.6, 0.6, b), 4) - per_clip(dice.uniform(-1, 1, b), 4) * t
    shadow = torch.sigmoid(across / per_clip(dice.uniform(0.01, 0.15, b), 4))
    gain = flicker * (1 - some(0.3, dice.uniform(0.2, 0.65, b)) * shadow)
    path = dice.uniform(-0.7, 0.7, b, 2, 2)
    px = per_clip(path[:, 0, 0], 4) + t * per_clip(path[:, 0, 1] - path[:, 0, 0], 4)
    py = (per_clip(path[:, 1, 0], 4) + t * per_clip(path[:, 1, 1] - path[:, 1, 0], 4)) * (height / width)
    spot = torch.exp(-((x - px) ** 2 + (y - py) ** 2) / per_clip(dice.uniform(0.005, 0.08, b), 4))
    glow = some(0.2, dice.uniform(0.15, 0.6, b)) * spot
    smoke = (0.4 + 0.5 * dice.smooth(b, 1, size, (2 + frames // 8, 5, 6))).clamp(0, 1)
    veil = some(0.2, dice.uniform(0.2, 0.7, b)) * smoke
    return Light(gain, glow, veil, per_clip(dice.uniform(0.3, 0.95, b), 4) + 0.05 * dice.normal(b, 3, 1, 1, 1))
