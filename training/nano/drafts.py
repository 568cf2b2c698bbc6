"""Drafts: paint as the product carries it along a surface, not quite in place, not quite in its light, unknown in parts.

The product shows the model such a clip and asks it to mend it everywhere and to make up what is unknown (docs/carry.md).
"""

import torch
import torch.nn.functional as F

from dice import per_clip


def sample_draft(dice, clips):
    """The shown video and where the model is to generate (b, t, h, w); the first frame is the truth and all known."""
    b, t, h, w = clips.roto.shape
    later = torch.linspace(0, 1, t, device=dice.device).view(1, 1, -1, 1, 1)
    growth = later ** per_clip(dice.uniform(0.4, 1.6, b), 4)
    known = ~sample_unknown(dice, clips.place, growth[:, 0])
    known[:, 0] = True
    paint = disturbed(dice, clips.paint, growth)
    source = known & (clips.roto > 0.5)
    filled = continued(dice, paint, source[:, None].float())
    paint = torch.where(known[:, None], paint, filled)
    unlit = clips.unlit + clips.roto[:, None] * (paint - clips.paint)
    shown = clips.light.on(unlit).clamp(0, 1)
    shown[:, :, 0] = clips.video[:, :, 0]
    outside = (clips.roto == 0)[:, None]
    return torch.where(outside, clips.video, shown), ~known & (clips.roto > 0)


def disturbed(dice, paint, growth, most=3.0):
    """Shifted by up to a few pixels, softened, and off in gain and offset, all smoothly and more with time."""
    b, _, t, h, w = paint.shape
    size, knots = (t, h, w), (2 + t // 8, 5, 5)
    amount = growth * per_clip(dice.uniform(0, 1, b) ** 2, 4)
    off = most / 1.5 * amount * dice.smooth(b, 2, size, knots)
    y = torch.arange(h, device=off.device).view(-1, 1) + 0.5
    x = torch.arange(w, device=off.device) + 0.5
    grid = torch.stack([(x + off[:, 0]) * (2 / w) - 1, (y + off[:, 1]) * (2 / h) - 1], -1)
    frames = paint.transpose(1, 2).flatten(0, 1)
    moved = F.grid_sample(frames, grid.flatten(0, 1), padding_mode="border", align_corners=False)
    blur = F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1)
    moved, blur = (z.view(b, t, 3, h, w).transpose(1, 2) for z in (moved, blur))
    moved = torch.lerp(moved, blur, growth.clamp_max(1) * per_clip(dice.uniform(-0.3, 0.9, b).clamp_min(0), 4))
    tone = dice.smooth(b, 2, size, knots) * growth
    gain = 1 + per_clip(dice.uniform(0, 0.1, b), 4) * tone[:, :1]
    return moved * gain + per_clip(dice.uniform(0, 0.03, b), 4) * tone[:, 1:]


def sample_unknown(dice, place, growth):
    """Parts of the hero that its first frame did not show, (b, t, h, w): a growing crescent at the edge, discs, strips,
    and the far side of a ball. Some clips are known everywhere."""
    u, v = place.on.unbind(-1)
    b, t, h, w = u.shape
    ragged = dice.uniform(0, 0.15, b, 1, 1, 1) * dice.smooth(b, 1, (t, h, w), (2, 6, 6))[:, 0]
    unknown = (place.seen_first + 0.5 * ragged < per_clip(dice.uniform(0.05, 0.3, b), 3)) & per_clip(dice.chance(0.9, b), 3)
    way = dice.directions(b)
    side = u * per_clip(way[:, 0], 3) + v * per_clip(way[:, 1], 3) + ragged
    crescent = side > 1.05 - growth * per_clip(dice.uniform(0.1, 1.3, b), 3)
    centre = dice.uniform(-0.7, 0.7, b, 2)
    disc = torch.hypot(u - per_clip(centre[:, 0], 3), v - per_clip(centre[:, 1], 3)) + ragged < per_clip(dice.uniform(0.1, 0.5, b), 3)
    disc &= growth > per_clip(dice.uniform(-0.5, 0.7, b), 3)
    across = v * per_clip(way[:, 0], 3) - u * per_clip(way[:, 1], 3) + ragged
    strip = (across - per_clip(dice.uniform(-0.6, 0.6, b), 3)).abs() < per_clip(dice.uniform(0.04, 0.25, b), 3)
    for part, odds in ((crescent, 0.55), (disc, 0.4), (strip, 0.35)):
        unknown = unknown | part & per_clip(dice.chance(odds, b), 3)
    return unknown & per_clip(dice.chance(0.85, b), 3)


def continued(dice, paint, known, reaches=(1, 2, 4, 6, 9, 13, 18, 25, 34)):
    """Paint smeared from the known places: mostly along one direction of each clip, from a pyramid where none is near."""
    b, _, t, h, w = paint.shape
    both = torch.cat([paint * known, known], 1).transpose(1, 2).flatten(0, 1)
    pyramid = spread(both)
    way = dice.directions(b)
    total = torch.zeros_like(both)
    for reach in reaches:
        for sign in (-1, 1):
            total = total + shifted(both, sign * reach * way, t) * (3 / (2 + reach)) ** 3
    share = total[:, 3:] / (total[:, 3:] + 0.01)
    smear = total[:, :3] / total[:, 3:].clamp_min(1e-6)
    mixed = share * smear + (1 - share) * pyramid
    return mixed.view(b, t, 3, h, w).transpose(1, 2)


def shifted(frames, step, t):
    """(b t, 4, h, w) seen `step` (b, 2) pixels away; nothing beyond the edges."""
    n, _, h, w = frames.shape
    y = torch.arange(h, device=frames.device) + step[:, 1:].round()
    x = torch.arange(w, device=frames.device) + step[:, :1].round()
    within = ((y >= 0) & (y < h))[:, :, None] & ((x >= 0) & (x < w))[:, None]
    index = (y.clamp(0, h - 1)[:, :, None] * w + x.clamp(0, w - 1)[:, None]).long()
    index = index.flatten(1)[:, None, None].expand(-1, t, 4, -1).reshape(n, 4, h * w)
    seen = torch.gather(frames.flatten(2), 2, index).view(frames.shape)
    return seen * within[:, None, None].expand(-1, t, 1, -1, -1).reshape(n, 1, h, w)


def spread(both, levels=6):
    """Known colours averaged coarser and coarser until there are some everywhere. (n, 4, h, w) -> (n, 3, h, w)"""
    stack = [both]
    while len(stack) <= levels and min(stack[-1].shape[2:]) > 2:
        stack.append(F.avg_pool2d(stack[-1], 2, ceil_mode=True, count_include_pad=False))
    mean = stack[-1].sum((2, 3), keepdim=True)
    filled = (mean[:, :3] / mean[:, 3:].clamp_min(1e-6)).expand(-1, -1, *stack[-1].shape[2:])
    for level in reversed(stack):
        filled = F.interpolate(filled, level.shape[2:], mode="bilinear", align_corners=False)
        share = (level[:, 3:] * 4).clamp(0, 1)
        filled = filled + share * (level[:, :3] / level[:, 3:].clamp_min(1e-6) - filled)
    return filled
