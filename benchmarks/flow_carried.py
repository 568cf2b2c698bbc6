"""Carries a painted frame through a shot by dense optical flow: the baseline of `cargo xtask eval`.

Reads FOLDER/clip.json (width, height, frames) and, as raw 32-bit floats, source.f32 (frames, height, width, 3), painted.f32
(height, width, 3), both in display code values, and mask.f32 (frames, height, width). Writes direct.f32 and
accumulated.f32 like source.f32: the painted frame as seen at every frame, to be laid over the plate by the mask.

- direct: each frame's flow straight to the first frame.
- accumulated: flows from each frame to the one before, chained.

The flow is OpenCV's DIS (Kroeger et al. 2016) at its best preset, made finer: full resolution, patches at every second
pixel, more descent and variational iterations. The painted frame is sampled once, bicubic. A pixel counts as carried
where flow forth and back agree (Sundaram et al. 2010) and where it lands inside the first frame's mask. Every other pixel
first takes the displacement of the nearest carried one; if that leads off the object (paint that the first frame does
not show), it takes the colour of the nearest pixel that has one.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

# A pixel at the mask's soft edge holds backdrop too, which must not be carried along.
SOLID = 0.98


def make_dis():
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    dis.setPatchStride(2)
    dis.setGradientDescentIterations(40)
    dis.setVariationalRefinementIterations(10)
    return dis


def grey(frame):
    return cv2.cvtColor((frame.clip(0, 1) * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY)


def sampled(picture, position, how=cv2.INTER_LINEAR):
    return cv2.remap(picture, position[..., 0], position[..., 1], how, borderMode=cv2.BORDER_REPLICATE)


def agree(forth, back, grid):
    """Whether flow forth and back lead to the same place."""
    returned = sampled(back, grid + forth)
    apart = np.square(forth + returned).sum(-1)
    length = np.square(forth).sum(-1) + np.square(returned).sum(-1)
    return apart < 0.01 * length + 0.5


def within(position, shape):
    x, y = position[..., 0], position[..., 1]
    return (x >= 0) & (y >= 0) & (x <= shape[1] - 1) & (y <= shape[0] - 1)


def from_nearest(values, valid):
    """Every pixel that is not valid takes the values of the nearest valid one."""
    if valid.all() or not valid.any():
        return values
    _, labels = cv2.distanceTransformWithLabels(
        (~valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL)
    table = np.zeros((labels.max() + 1, values.shape[-1]), values.dtype)
    table[labels[valid]] = values[valid]
    return table[labels]


def carried(painted, first_mask, grid, position, trusted):
    """The painted frame sampled at `position`, holes filled."""
    def lands(position):
        return (sampled(first_mask, position) >= SOLID) & within(position, first_mask.shape)

    # Holes move as their nearest carried neighbour does; where that leads off the object, they take a colour instead.
    valid = trusted & lands(position)
    position = grid + from_nearest(position - grid, valid)
    return from_nearest(sampled(painted, position, cv2.INTER_CUBIC), lands(position))


def carry_direct(dis, source, painted, mask, grid):
    first = grey(source[0])
    yield painted
    for frame in source[1:]:
        now = grey(frame)
        forth, back = dis.calc(now, first, None), dis.calc(first, now, None)
        yield carried(painted, mask[0], grid, grid + forth, agree(forth, back, grid))


def carry_accumulated(dis, source, painted, mask, grid):
    position, trusted, before = grid, np.ones(grid.shape[:2], bool), grey(source[0])
    yield painted
    for frame in source[1:]:
        now = grey(frame)
        forth, back = dis.calc(now, before, None), dis.calc(before, now, None)
        step = grid + forth
        kept = sampled(trusted.astype(np.float32), step) > 0.5
        trusted = kept & agree(forth, back, grid) & within(step, trusted.shape)
        # Displacements are sampled, not positions, so that the border does not pull.
        position = step + sampled(position - grid, step)
        before = now
        yield carried(painted, mask[0], grid, position, trusted)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    clip = json.loads((folder / "clip.json").read_text())
    shape = (clip["height"], clip["width"])
    read = lambda name, *tail: np.fromfile(folder / name, np.float32).reshape(-1, *shape, *tail)
    source, painted, mask = read("source.f32", 3), read("painted.f32", 3)[0], read("mask.f32")
    assert len(source) == len(mask) == clip["frames"], "clip.json does not fit the frames"
    grid = np.stack(np.meshgrid(np.arange(shape[1]), np.arange(shape[0])), -1).astype(np.float32)
    dis = make_dis()
    for name, carry in (("direct", carry_direct), ("accumulated", carry_accumulated)):
        frames = np.stack(list(carry(dis, source, painted, mask, grid)))
        frames.astype(np.float32).clip(0, 1).tofile(folder / f"{name}.f32")


if __name__ == "__main__":
    main()
