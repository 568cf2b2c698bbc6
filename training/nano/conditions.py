"""The condition of a Wan image-to-video transformer, and the flow it is trained and sampled with."""

import torch
import torch.nn.functional as F

from nets import autocast, encode_normalised


def pack_mask(generate):
    """Pixel masks (b, t, h, w), true = generate, to the 4 latent channels (b, 4, t', h/8, w/8), 1 = keep.

    Pixel frame 0 fills the 4 channels of latent frame 0; then 4 pixel frames make one latent frame. A cell is generated
    if any of its 8x8 pixels is.
    """
    keep = 1 - F.max_pool2d(generate.float(), 8)
    b, t, h, w = keep.shape
    keep = torch.cat([keep[:, :1].expand(-1, 4, -1, -1), keep[:, 1:]], 1)
    return keep.reshape(b, -1, 4, h, w).transpose(1, 2)


def condition(vae, shown, generate):
    """Shown video (b, 3, t, h, w) in [-1, 1] and mask -> (b, 20, t', h/8, w/8): 4 mask channels, 16 of the video."""
    return torch.cat([pack_mask(generate), encode_normalised(vae, shown)], 1)


def greyed(video, generate):
    """The published condition: grey wherever the mask says generate, in pixels, so that nothing leaks through time."""
    return video.masked_fill(generate[:, None], 0.0)


def predict(net, noisy, t, cond):
    """Velocity noise - clean at times t in [0, 1]; the text is one all-zero token."""
    text = torch.zeros(len(noisy), 1, net.config.text_dim, device=noisy.device)
    return net(torch.cat([noisy, cond], 1), 1000 * t, text, return_dict=False)[0]


def flow_pair(clean, t, noise):
    """The noisy latent at t and the velocity to learn."""
    at = t.view(-1, 1, 1, 1, 1)
    return (1 - at) * clean + at * noise, noise - clean


def schedule(steps, shift=1.0):
    base = torch.linspace(1, 0, steps + 1)
    return shift * base / (1 + (shift - 1) * base)


@torch.no_grad()
def sample(net, cond, steps=4, shift=3.0, seed=0):
    """Euler from noise along the flow. cond (b, 20, t, h, w) -> clean latents"""
    shape = (len(cond), 16, *cond.shape[2:])
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(cond.device)
    times = schedule(steps, shift).tolist()
    for now, then in zip(times[:-1], times[1:]):
        with autocast(cond.device):
            velocity = predict(net, x, torch.full((len(x),), now, device=x.device), cond)
        x = x + (then - now) * velocity.float()
    return x

