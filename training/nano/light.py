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
    size, ratio = (frames, height, width), height / width
    t = torch.linspace(0, 1, frames, device=dice.device).view(1, 1, -1, 1, 1)
    y = ratio * torch.linspace(-1, 1, height, device=dice.device).view(1, 1, 1, -1, 1)
    x = torch.linspace(-1, 1, width, device=dice.device).view(1, 1, 1, 1, -1)

    def draw(low, high):
        return per_clip(dice.uniform(low, high, b), 4)

    def some(odds, low, high):
        return draw(low, high) * per_clip(dice.chance(odds, b), 4)

    flicker = 1 + some(0.3, -0.25, 0.25) * torch.sin(draw(1, 8) * t + draw(0, 6))
    way = dice.directions(b)
    across = per_clip(way[:, 0], 4) * x + per_clip(way[:, 1], 4) * y
    shadow = torch.sigmoid((across - draw(-0.6, 0.6) - draw(-1, 1) * t) / draw(0.01, 0.15))
    gain = flicker * (1 - some(0.3, 0.2, 0.65) * shadow)
    from_x, to_x, from_y, to_y = (draw(-0.7, 0.7) for _ in range(4))
    away = (x - torch.lerp(from_x, to_x, t)) ** 2 + (y - ratio * torch.lerp(from_y, to_y, t)) ** 2
    glow = some(0.2, 0.15, 0.6) * torch.exp(-away / draw(0.005, 0.08))
    smoke = (0.4 + 0.5 * dice.smooth(b, 1, size, (2 + frames // 8, 5, 6))).clamp(0, 1)
    return Light(gain, glow, some(0.2, 0.2, 0.7) * smoke, draw(0.3, 0.95) + 0.05 * dice.normal(b, 3, 1, 1, 1))
