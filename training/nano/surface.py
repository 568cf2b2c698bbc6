"""Surfaces that move: where a pixel lies on them, how far they cover it, and its colour.

A card is flat, bends in waves and tilts in perspective; a ball turns about an axis. All clips of a batch at once: b
clips, t times, of h x w pixels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from dice import per_clip

TEXELS = 128  # half the side of a texture: texture coordinates of 1


@dataclass
class Surface:
    texture: torch.Tensor  # (b, 3, S, S)
    outline: torch.Tensor  # (b, 256) radius over angle, about 1
    size: torch.Tensor  # (b,) pixels from centre to outline
    texels: torch.Tensor  # (b,) texels a pixel at scale 1
    soft: torch.Tensor  # (b,) width of the edge in pixels
    ball: torch.Tensor  # (b,) bool
    spin: torch.Tensor  # (b,) radians a ball turns in the whole clip
    axis: torch.Tensor  # (b, 3) what it turns about
    start: torch.Tensor  # (b, 3, 3) how it lies at first
    path: torch.Tensor  # (b, 2, 2) places at the first and last frame, x and y
    sway: torch.Tensor  # (b, 2) pixels off that path
    turn: torch.Tensor  # (b, 2) radians at the first frame, and how many more at the last
    grow: torch.Tensor  # (b,) logarithm of the change of size
    squeeze: torch.Tensor  # (b, 3) first and last angle, and the direction, of foreshortening
    tilt: torch.Tensor  # (b, 2, 2) perspective at the first and last frame
    waves: torch.Tensor  # (b, 2, 6) amplitude x and y, frequency x and y, speed, phase of non-rigid bending


@dataclass
class Place:
    """Where each pixel lies: `on` (b, t, h, w, 2) in units of the outline, `seen_first` how well the first frame sees it."""

    on: torch.Tensor
    uv: torch.Tensor
    cover: torch.Tensor
    seen_first: torch.Tensor


def sample_surface(dice, texture, height, width, frames, balls=0.25, large=(0.2, 0.4), long=0.0):
    b, least = len(texture), min(height, width)
    size = dice.uniform(*large, b) * least
    per_frame = (frames - 1) / 24
    middle = torch.stack([dice.uniform(0.25, 0.75, b) * width, dice.uniform(0.25, 0.75, b) * height], -1)
    travel = dice.directions(b) * per_clip(dice.uniform(0, 0.6 * per_frame**0.5, b) * least, 1)
    some = dice.chance(0.5, b)
    squeeze = torch.stack([dice.uniform(-0.5, 0.5, b), dice.uniform(-1.1, 1.1, b), dice.uniform(0, torch.pi, b)], -1)
    waves = torch.cat([dice.normal(b, 2, 2) * dice.uniform(0, 0.05, b, 1, 1), 3.5 * dice.normal(b, 2, 2),
                       dice.uniform(-5, 5, b, 2, 1) * per_frame, dice.uniform(0, 6.3, b, 2, 1)], -1)
    bent = per_clip(dice.chance(0.4, b), 2)
    return Surface(
        texture=texture, outline=sample_outline(dice, b, long), size=size, texels=dice.uniform(0.5, 1.4, b),
        soft=torch.where(dice.chance(0.7, b), 1.0, dice.uniform(1, 4, b)),
        ball=dice.chance(balls, b), spin=dice.uniform(-2.8, 2.8, b) * per_frame**0.7, axis=F.normalize(dice.normal(b, 3), dim=-1),
        start=any_turn(dice, b),
        path=torch.stack([middle - travel / 2, middle + travel / 2], -1),
        sway=dice.normal(b, 2) * 0.03 * least * per_frame,
        turn=torch.stack([dice.uniform(0, 6.3, b), dice.uniform(-2, 2, b) * per_frame**0.7 * some], -1),
        grow=dice.normal(b) * 0.2 * per_frame, squeeze=squeeze * per_clip(dice.chance(0.3, b), 1),
        tilt=0.18 * dice.normal(b, 2, 2) * per_clip(dice.chance(0.4, b), 2) * per_frame, waves=torch.where(bent, waves, 0.0))


def any_turn(dice, b):
    """Rotations, (b, 3, 3)."""
    first = F.normalize(dice.normal(b, 3), dim=-1)
    second = F.normalize(torch.linalg.cross(first, dice.normal(b, 3)), dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], 1)


def sample_outline(dice, b, long):
    """Ellipses, rounded boxes, polygons and blots; `long` is the odds of a bar."""
    theta = torch.arange(256, device=dice.device) * (2 * torch.pi / 256)
    cos, sin = theta.cos().abs(), theta.sin().abs()
    narrow = torch.where(dice.chance(long, b), dice.uniform(0.08, 0.3, b), dice.uniform(0.5, 1, b))[:, None]
    power = torch.where(dice.chance(0.5, b), 2.0, dice.uniform(3, 12, b))[:, None]
    oval = (cos**power + (sin / narrow) ** power) ** (-1 / power)
    corner = 2 * torch.pi / (3 + dice.below(5, b))[:, None]
    polygon = torch.cos(corner / 2) / torch.cos(theta % corner - corner / 2) * 1.05
    k = torch.arange(2, 7, device=dice.device)[:, None]
    wobble = (dice.normal(b, 5, 1) * 0.25 / k * torch.cos(k * theta + dice.uniform(0, 6.3, b, 5, 1))).sum(1)
    kind = dice.uniform(0, 1, b)[:, None]
    kind = torch.where(narrow < 0.45, 0.0, kind)
    return torch.where(kind < 0.5, oval, torch.where(kind < 0.7, polygon, (0.85 + wobble).clamp(0.4, 1.2)))


def locate(s, times, height, width):
    """`times` (t,) from 0 (first frame) to 1 (last)."""
    device = times.device
    part = times.view(1, -1, 1, 1)
    y, x = torch.meshgrid(torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij")

    def between(pair):
        return per_clip(pair[..., 0], 3) + part * per_clip(pair[..., 1] - pair[..., 0], 3)

    swing = torch.sin(2.5 * torch.pi * part)
    dx = x - between(s.path[:, 0]) - per_clip(s.sway[:, 0], 3) * swing
    dy = y - between(s.path[:, 1]) - per_clip(s.sway[:, 1], 3) * swing
    scale = per_clip(s.size, 3) * torch.exp(per_clip(s.grow, 3) * (part - 0.3))
    dx, dy = dx / scale, dy / scale
    lean = per_clip(s.squeeze[:, 2], 3)
    along = (dx * lean.cos() + dy * lean.sin()) * (1 / between(s.squeeze[:, :2]).cos().clamp_min(0.35) - 1)
    flat = ~s.ball.view(-1, 1, 1, 1)
    along = along * flat
    dx, dy = dx + along * lean.cos(), dy + along * lean.sin()
    angle = per_clip(s.turn[:, 0], 3) + part * per_clip(s.turn[:, 1], 3)
    u, v = angle.cos() * dx + angle.sin() * dy, angle.cos() * dy - angle.sin() * dx
    depth = 1 / (1 + flat * (between(s.tilt[:, 0]) * u + between(s.tilt[:, 1]) * v)).clamp_min(0.5)
    u, v = u * depth, v * depth
    for wave in s.waves.unbind(1):
        push = torch.sin(per_clip(wave[:, 2], 3) * u + per_clip(wave[:, 3], 3) * v + per_clip(wave[:, 5], 3)
                         + per_clip(wave[:, 4], 3) * part)
        u, v = u + flat * per_clip(wave[:, 0], 3) * push, v + flat * per_clip(wave[:, 1], 3) * push
    far = torch.hypot(u, v)
    radius = torch.where(flat, outline_at(s.outline, u, v), 1.0)
    cover = ((radius - far) * scale / per_clip(s.soft, 3) + 0.5).clamp(0, 1)
    card = torch.stack([u, v], -1) * per_clip(s.size * s.texels / TEXELS, 4)
    if not bool(s.ball.any()):
        return Place(torch.stack([u, v], -1), card, cover, torch.ones_like(far))
    uv, seen_first = on_ball(s, u, v, far, part)
    return Place(torch.stack([u, v], -1), torch.where(flat[..., None], card, uv), cover, torch.where(flat, 1.0, seen_first))


def outline_at(outline, u, v):
    at = torch.atan2(v, u) / (2 * torch.pi) % 1 * 256
    low = at.long() % 256
    clip = torch.arange(len(outline), device=u.device).view(-1, 1, 1, 1)
    return torch.lerp(outline[clip, low], outline[clip, (low + 1) % 256], at - at.floor())


def on_ball(s, u, v, far, part):
    """Texture coordinates on the turning ball, and how squarely the first frame looks at the same spot.

    Longitude runs over whole repeats of the mirrored texture, so that there is no seam.
    """
    inside = far.clamp_max(0.999) / far.clamp_min(1e-6)
    x, y = u * inside, v * inside
    front = torch.stack([x, y, (1 - x * x - y * y).clamp_min(0).sqrt()], -1)
    spin = per_clip(s.spin, 3) * part
    axis = s.axis.view(-1, 1, 1, 1, 3)
    back = (front * spin.cos()[..., None] - torch.linalg.cross(axis.expand_as(front), front) * spin.sin()[..., None]
            + axis * (axis * front).sum(-1, keepdim=True) * (1 - spin.cos()[..., None]))
    spot = torch.einsum("bthwi,bij->bthwj", back, s.start)
    repeats = (2 * torch.pi * s.size * s.texels / (4 * TEXELS)).round().clamp_min(1)
    scale = per_clip(2 * repeats / torch.pi, 3)
    longitude, latitude = torch.atan2(spot[..., 0], spot[..., 2]), torch.asin(spot[..., 1].clamp(-0.9999, 0.9999))
    return torch.stack([longitude * scale, latitude * scale], -1), back[..., 2]


def colour_of(texture, uv):
    """(b, 3, S, S) at (b, t, h, w, 2) -> (b, 3, t, h, w); a texture is mirrored beyond its edges."""
    b, t, h, w, _ = uv.shape
    flat = F.grid_sample(texture, uv.reshape(b, t * h, w, 2), padding_mode="reflection", align_corners=False)
    return flat.view(b, 3, t, h, w)
