"""The encoder's start: principal components of picture blocks, put into its convolutions level by level.

Gradient descent from random weights stays near 18 dB for thousands of steps; 16 principal components of an 8x8x4 block
already hold 25 dB. The residual branches end in zeros, so the encoder starts as exactly this linear map; its last norm
and SiLU are undone by a large constant channel and by pairs of opposite sign: silu(x) - silu(-x) = x.
"""

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import patchify

CONSTANT = 30.0


@torch.no_grad()
def start_encoder(encoder, quant_conv, clips):
    """clips (n, 3, 1 + 4k, h, w) in [-1, 1]; returns nothing, fills the weights in place."""
    x = patchify(clips, 2)
    first, first_down, second, second_down, third = encoder.down_blocks
    encoder.conv_in.weight[:12] = 0
    centre(encoder.conv_in)[:12] = torch.eye(12)
    for conv in (first_down.resample[1], first_down.time_conv, second_down.resample[1], second_down.time_conv,
                 encoder.conv_out):
        conv.weight.zero_()
    for down_block in (first_down, second_down):
        # The norm of grey, all zeros, has no gradient: every level keeps a small constant.
        down_block.resample[1].bias.uniform_(-0.2, 0.2)
        down_block.time_conv.bias.zero_()
    x = downed(first_down, x, [range(12)])
    kept = x.shape[1]
    averages = pair_frames(first_down.time_conv, x, kept, kept)
    x = torch.cat((x[:, :, :1], apply_pairs(first_down.time_conv, x)), 2)
    widen(second, kept)
    x = downed(second_down, x, [range(averages), range(averages, kept)])
    pair_frames(second_down.time_conv, x, x.shape[1], 16)
    widen(third, 16)
    third.conv_shortcut.weight[16:32, :16, 0, 0, 0] = -torch.eye(16)
    third.conv_shortcut.bias.zero_()
    third.conv_shortcut.bias[-1] = CONSTANT
    x = apply_pairs(second_down.time_conv, x)[:, :16]
    gain = torch.diag(CONSTANT / encoder.norm_out.scale / x.std((0, 2, 3, 4)))  # unit spread
    centre(encoder.conv_out)[:16, :16] = gain
    centre(encoder.conv_out)[:16, 16:32] = -gain
    quant_conv.weight.zero_()
    quant_conv.weight[:16, :16, 0, 0, 0] = torch.eye(16)
    quant_conv.bias.zero_()
    quant_conv.bias[16:] = -5.0  # logarithm of the variance of the noise


def centre(conv):
    """The tap of a causal convolution that sees the present voxel."""
    return conv.weight[:, :, -1, conv.kernel_size[1] // 2, conv.kernel_size[2] // 2]


def widen(block, used):
    block.conv_shortcut.weight.zero_()
    block.conv_shortcut.bias.zero_()
    block.conv_shortcut.weight[:used, :used, 0, 0, 0] = torch.eye(used)


def downed(stage, x, groups):
    """Halves the picture: principal components of 2x2 neighbours, each group of channels by itself, the strongest kept."""
    conv = stage.resample[1]
    n, c, t, h, w = x.shape
    blocks = x.reshape(n, c, t, h // 2, 2, w // 2, 2).permute(0, 2, 3, 5, 1, 4, 6)  # (n, t, h, w, c, 2, 2)
    found = []
    for place, group in enumerate(groups):
        part = blocks[..., list(group), :, :].flatten(4).flatten(0, 3)
        values, vectors = torch.linalg.eigh(torch.cov(part.T))
        found += [(float(v), place, vectors[:, i].view(len(group), 2, 2)) for i, v in enumerate(values)]
    found.sort(key=lambda f: -f[0])
    found = sorted(found[: conv.out_channels], key=lambda f: (f[1], -f[0]))
    for row, (_, place, vector) in enumerate(found):
        conv.weight[row, list(groups[place]), :2, :2] = vector / 2
    rows = conv.weight[:, :c, :2, :2].flatten(1)
    return (blocks.flatten(4) @ rows.T).permute(0, 4, 1, 2, 3)


def pair_frames(conv, x, channels, slots):
    """Fills a time convolution with averages and differences of frame pairs, the `slots` strongest.

    Averages keep their channel, so that a still picture and a first frame, which has no pair, look alike.
    """
    early, late = x[:, :, 1::2], x[:, :, 2::2]
    energy = [(float(((late + early) / 2).var((0, 2, 3, 4))[j]), 0, j) for j in range(channels)]
    energy += [(float(((late - early) / 2).var((0, 2, 3, 4))[j]), 1, j) for j in range(channels)]
    energy.sort(key=lambda e: -e[0])
    chosen = energy[:slots]
    averages = 0
    while any(kind == 0 and j == averages for _, kind, j in chosen):
        averages += 1
    others = [(kind, j) for _, kind, j in chosen if kind == 1 or j >= averages]
    for row, (kind, j) in enumerate([(0, j) for j in range(averages)] + others):
        conv.weight[row, j, 1, 0, 0] = -0.5 if kind else 0.5
        conv.weight[row, j, 2, 0, 0] = 0.5
    return averages


def apply_pairs(conv, x):
    w = conv.weight[:, : x.shape[1], :, 0, 0]
    return torch.einsum("oi,nithw->nothw", w[:, :, 1], x[:, :, 1::2]) + torch.einsum("oi,nithw->nothw", w[:, :, 2], x[:, :, 2::2])
