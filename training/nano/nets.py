"""The two networks of nano, their sizes, and the whole-clip form of the video VAE used to train it."""

import time
import types

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.models.autoencoders.autoencoder_kl_wan import (WanAttentionBlock, WanCausalConv3d,
    WanResample, WanResidualBlock, WanRMS_norm, WanUpsample, patchify, unpatchify)
from torch.utils.flop_counter import FlopCounterMode

VAE = dict(base_dim=24, decoder_base_dim=32, z_dim=16, dim_mult=[1, 2, 4], num_res_blocks=1,
           temperal_downsample=[True, True], is_residual=False, in_channels=12, out_channels=12, patch_size=2,
           scale_factor_temporal=4, scale_factor_spatial=8)
TRANSFORMER = dict(patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=48, in_channels=36, out_channels=16,
                   text_dim=32, freq_dim=256, ffn_dim=768, num_layers=8, cross_attn_norm=True,
                   qk_norm="rms_norm_across_heads")


def build_vae(**changes):
    return AutoencoderKLWan(**{**VAE, **changes})


def build_transformer():
    return WanTransformer3DModel(**TRANSFORMER)


def use_whole_clips(vae):
    """Makes vae.encoder and vae.decoder take a whole clip in one pass, equal to the chunked form (`python nets.py`)."""
    for module in vae.modules():
        if isinstance(module, WanResample) and module.mode.endswith("3d"):
            module.forward = types.MethodType(resample_whole_clip, module)
        if isinstance(module, WanRMS_norm):
            module.forward = types.MethodType(rms_norm, module)
        if isinstance(module, WanUpsample):  # copies pixels: exact in any precision
            module.forward = types.MethodType(lambda self, x: F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode), module)
    return vae


def use_linear_path(part, only):
    """Leaves residual blocks of encoder or decoder out of the computation, or puts them back.

    `start_linear` makes both forms equal, so that the cheap linear path can be trained first.
    """
    for module in part.modules():
        if isinstance(module, WanResidualBlock):
            set_or_clear(module, only, lambda self, x, feat_cache=None, feat_idx=None: self.conv_shortcut(x))


def leave_out_attention(vae):
    """Keeps attention at the nothing it starts with (`start_linear`): what a tile holds must not hang on what is far away."""
    for module in vae.modules():
        if isinstance(module, WanAttentionBlock):
            module.requires_grad_(False)
            set_or_clear(module, True, lambda self, x: x)


def set_or_clear(module, put, forward):
    if put:
        module.forward = types.MethodType(forward, module)
    else:
        module.__dict__.pop("forward", None)


def start_linear(vae):
    """Zeroes the end of every residual branch and of attention."""
    for module in vae.modules():
        if isinstance(module, WanResidualBlock):
            torch.nn.init.zeros_(module.conv2.weight)
            torch.nn.init.zeros_(module.conv2.bias)
        if isinstance(module, WanAttentionBlock):
            torch.nn.init.zeros_(module.proj.weight)
            torch.nn.init.zeros_(module.proj.bias)
    conv_in = vae.decoder.conv_in
    conv_in.weight.data[:16, :, 2, 1, 1] += torch.eye(16)


def resample_whole_clip(self, x, feat_cache=None, feat_idx=None):
    if self.mode == "upsample3d" and x.shape[2] > 1:
        b, c, t, h, w = x.shape
        pairs = self.time_conv(x[:, :, 1:]).reshape(b, 2, c, t - 1, h, w)
        pairs = torch.stack((pairs[:, 0], pairs[:, 1]), 3).reshape(b, c, 2 * (t - 1), h, w)
        x = torch.cat((x[:, :, :1], pairs), 2)
    b, c, t, h, w = x.shape
    x = self.resample(x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w))
    x = x.view(b, t, *x.shape[1:]).permute(0, 2, 1, 3, 4)
    if self.mode == "downsample3d" and t > 1:
        x = torch.cat((x[:, :, :1], self.time_conv(x)), 2)
    return x


def rms_norm(self, x):
    """The same norm in one kernel; its floor of 1e-12 is far below what any pixel's features come to."""
    last = x.movedim(1, -1)
    return F.rms_norm(last, last.shape[-1:], self.gamma.flatten().to(x.dtype), 1e-12).movedim(-1, 1)


def use_flat_convolutions(vae, use=True):
    """Makes causal convolutions run as convolutions of pictures whose channels hold the moments they see: equal."""
    for module in vae.modules():
        if isinstance(module, WanCausalConv3d):
            set_or_clear(module, use, flat_convolution)


def flat_convolution(self, x, cache_x=None):
    frames = x.movedim(1, -1)
    moments, stride = self.kernel_size[0], self.stride[0]
    frames = F.pad(frames, (0, 0, 0, 0, 0, 0, self._padding[4], 0))
    count = (frames.shape[1] - moments) // stride + 1
    seen = torch.cat([frames[:, i:i + stride * (count - 1) + 1:stride] for i in range(moments)], -1)
    weight = self.weight.transpose(1, 2).flatten(1, 2)
    y = F.conv2d(seen.flatten(0, 1).movedim(-1, 1), weight, self.bias, self.stride[1:], (self._padding[2], self._padding[0]))
    return y.movedim(1, -1).unflatten(0, seen.shape[:2]).movedim(-1, 1)


def use_faster_convolutions(vae, step, tries=3):
    """Times `step` with both forms of convolution and keeps the faster; which one that is differs between devices."""
    seconds = []
    for flat in (False, True):
        use_flat_convolutions(vae, flat)
        for k in range(tries + 1):
            if k == 1:  # the first call chooses algorithms
                start = now()
            step()
        seconds.append((now() - start) / tries)
    flat = seconds[1] < seconds[0]
    use_flat_convolutions(vae, flat)
    print("convolutions: 3-D {:.0f} ms, flat {:.0f} ms a step".format(*(1000 * s for s in seconds)), flush=True)
    return flat


def count_flops(step):
    """Of one call, matrix products and convolutions alone."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def now():
    """The time when the device has done all it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.time()


def lean(net):
    """The transformer with less to compute and the same output.

    With a single text token its attention weight is 1, so cross attention is out(v(text)); and norms whose weights have
    their input's precision run as one kernel.
    """
    for block in net.blocks:
        block.attn2.forward = types.MethodType(lambda self, x, text, *_: self.to_out[0](self.to_v(text)), block.attn2)
        for norm in (block.attn1.norm_q, block.attn1.norm_k):
            norm.forward = types.MethodType(
                lambda self, x: F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps), norm)
    return net


def autocast(device):
    return torch.autocast(torch.device(device).type, torch.bfloat16)


def in_channels_last(vae):
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)
        if isinstance(module, torch.nn.Conv2d):
            module.to(memory_format=torch.channels_last)
    return vae


def encode(vae, video):
    """(b, 3, t, h, w) in [-1, 1] -> latent moments (b, 32, 1+(t-1)/4, h/8, w/8)"""
    return vae.quant_conv(vae.encoder(patchify(video, vae.config.patch_size)))


def decode(vae, latent):
    return unpatchify(vae.decoder(vae.post_quant_conv(latent)), vae.config.patch_size)


def latent_scale(vae):
    device = vae.quant_conv.weight.device
    return [torch.tensor(x, device=device).view(1, -1, 1, 1, 1) for x in (vae.config.latents_mean, vae.config.latents_std)]


@torch.no_grad()
def encode_normalised(vae, video):
    """The latent a transformer sees: the mean, shifted and scaled. (b, 3, t, h, w) -> (b, 16, t', h/8, w/8)"""
    mean, std = latent_scale(vae)
    with autocast(video.device):
        moments = encode(vae, video)
    return (moments[:, :16].float() - mean) / std


@torch.no_grad()
def decode_normalised(vae, latent):
    mean, std = latent_scale(vae)
    with autocast(latent.device):
        video = decode(vae, latent * std + mean)
    return video.float().clamp(-1, 1)


def compare_forms():
    torch.manual_seed(0)
    vae = build_vae()
    print("vae parameters", sum(p.numel() for p in vae.parameters()),
          "transformer parameters", sum(p.numel() for p in build_transformer().parameters()))
    clips = {t: torch.randn(1, 3, t, 32, 48) for t in (1, 5, 9, 17)}
    latents = {t: vae.encode(x).latent_dist.mean for t, x in clips.items()}
    pictures = {t: vae.decode(z, return_dict=False)[0] for t, z in latents.items()}
    use_whole_clips(vae)
    for flat in (False, True):
        use_flat_convolutions(vae, flat)
        for t, x in clips.items():
            z = encode(vae, x)[:, :16]
            y = decode(vae, z).clamp(-1, 1)
            print("flat" if flat else "3-D", t, tuple(z.shape), tuple(y.shape), "encode differs by",
                  float((z - latents[t]).abs().max()), "decode by", float((y - pictures[t]).abs().max()))


if __name__ == "__main__":
    with torch.no_grad():
        compare_forms()
