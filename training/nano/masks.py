"""Generation masks as published: the roto widened to a silhouette, a box, a union over time, or the whole frame."""

import torch
import torch.nn.functional as F

KINDS = ("silhouette", "box", "union", "big box", "whole frame")
ODDS = (35, 40, 12, 9, 4)


def sample_generation_mask(dice, roto, kinds=KINDS, odds=ODDS):
    """Where to generate, as bool (b, t, h, w); one kind for all clips."""
    kind = dice.host.choices(kinds, odds)[0]
    return widen(roto > 0.02, kind, dice.host.randint(1, 8), dice.host.uniform(0.05, 0.2))


def widen(inside, kind, grow=4, margin=0.1):
    if kind == "whole frame":
        return torch.ones_like(inside)
    if kind == "silhouette":
        return dilated(inside, grow)
    if kind == "union":
        b, t, h, w = inside.shape
        near = F.max_pool3d(inside.float()[:, None], (5, 1, 1), 1, (2, 0, 0))[:, 0]
        return dilated(near > 0, grow)
    return boxes(inside, 2.5 * margin if kind == "big box" else margin)


def dilated(inside, grow):
    """By a square of 2 grow + 1 pixels."""
    flat = F.max_pool2d(inside.float(), (2 * grow + 1, 1), 1, (grow, 0))
    return F.max_pool2d(flat, (1, 2 * grow + 1), 1, (0, grow)) > 0


def boxes(inside, margin):
    """A box round each frame's mask, grown by `margin` of its size on every side."""
    return grown_span(inside.any(-1), margin)[..., None] & grown_span(inside.any(-2), margin)[..., None, :]


def grown_span(touched, margin):
    """(..., n) true from the first to the last true place, and a part of that length beyond."""
    n = touched.shape[-1]
    at = torch.arange(n, device=touched.device)
    first = torch.where(touched, at, n).amin(-1, keepdim=True)
    last = torch.where(touched, at, -1).amax(-1, keepdim=True)
    more = (margin * (last - first + 1)).long() + 1
    return (at >= first - more) & (at <= last + more) & (last >= 0)
