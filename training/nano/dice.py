"""Random numbers by seed on the device that uses them, and smooth random fields made of them."""

import random

import torch
import torch.nn.functional as F


class Dice:
    """`host` draws what the program branches on, the rest are tensors on `device`."""

    def __init__(self, seed, device):
        self.device, self.host = device, random.Random(seed)
        self.generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low, high, *shape):
        return low + (high - low) * torch.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def chance(self, odds, *shape):
        return torch.rand(shape, generator=self.generator, device=self.device) < odds

    def below(self, n, *shape):
        return torch.randint(n, shape, generator=self.generator, device=self.device)

    def directions(self, *shape):
        """Unit vectors in the plane, (*shape, 2)."""
        angle = self.uniform(0, 2 * torch.pi, *shape)
        return torch.stack([angle.cos(), angle.sin()], -1)

    def smooth(self, clips, channels, size, knots):
        """Noise of spread about 1 over (t, h, w), as smooth as the number of `knots` on each axis says."""
        return F.interpolate(1.4 * self.normal(clips, channels, *knots), size, mode="trilinear", align_corners=True)


def per_clip(x, dims):
    """(b,) made to broadcast over `dims` further axes."""
    return x.reshape(-1, *[1] * dims)
