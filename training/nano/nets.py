"""The two networks of nano, their sizes, and the whole-clip form of the video VAE used to train it."""

import types

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.models.autoencoders.autoencoder_kl_wan import (WanAttentionBlock, WanResample,
    WanResidualBlock, WanRMS_norm, patchify, unpatchify)

VAE = dict(base_dim=16, decoder_base_dim=32, z_dim=16, dim_mult=[1, 2, 4], num_res_blocks=1,
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
    return vae


def use_linear_path(vae, only):
    """Leaves residual blocks and attention out of the computation, or puts them back.

    `start_linear` makes both forms equal, so that the cheap linear path can be trained first.
    """
    for module in vae.modules():
        if isinstance(module, WanResidualBlock):
            set_or_clear(module, only, lambda self, x, feat_cache=None, feat_idx=None: self.conv_shortcut(x))
        if isinstance(module, WanAttentionBlock):
            set_or_clear(module, only, lambda self, x: x)


def set_or_clear(module, put, forward):
    if put:
        module.forward = types.MethodType(forward, module)
    else:
        module.__dict__.pop("forward", None)


def start_linear(vae):
    """Zeroes the end of every residual branch."""
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
    size = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32).clamp_min(1e-12)
    return x * (self.scale / size).to(x.dtype) * self.gamma.to(x.dtype)


def shorten_text_attention(net):
    """With a single text token its attention weight is 1, so cross attention is out(v(text)): equal, and cheaper."""
    for block in net.blocks:
        block.attn2.forward = types.MethodType(lambda self, x, text, *_: self.to_out[0](self.to_v(text)), block.attn2)
    return net


def encode(vae, video):
    """(b, 3, t, h, w) in [-1, 1] -> latent moments (b, 32, 1+(t-1)/4, h/8, w/8)"""
    return vae.quant_conv(vae.encoder(patchify(video, vae.config.patch_size)))


def decode(vae, latent):
    return unpatchify(vae.decoder(vae.post_quant_conv(latent)), vae.config.patch_size)


def latent_scale(vae):
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1)
    return mean, torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)


@torch.no_grad()
def encode_normalised(vae, video):
    """The latent a transformer sees: the mean, shifted and scaled. (b, 3, t, h, w) -> (b, 16, t', h/8, w/8)"""
    mean, std = latent_scale(vae)
    return (encode(vae, video)[:, :16].float() - mean) / std


@torch.no_grad()
def decode_normalised(vae, latent):
    mean, std = latent_scale(vae)
    return decode(vae, latent * std + mean).float().clamp(-1, 1)


if __name__ == "__main__":
    torch.manual_seed(0)
    vae = build_vae()
    print("vae parameters", sum(p.numel() for p in vae.parameters()),
          "transformer parameters", sum(p.numel() for p in build_transformer().parameters()))
    with torch.no_grad():
        clips = {t: torch.randn(1, 3, t, 32, 48) for t in (1, 5, 9, 17)}
        latents = {t: vae.encode(x).latent_dist.mean for t, x in clips.items()}
        pictures = {t: vae.decode(z, return_dict=False)[0] for t, z in latents.items()}
        use_whole_clips(vae)
        for t, x in clips.items():
            z = encode(vae, x)[:, :16]
            y = decode(vae, z).clamp(-1, 1)
            print(t, tuple(z.shape), tuple(y.shape), "encode differs by", float((z - latents[t]).abs().max()),
                  "decode by", float((y - pictures[t]).abs().max()))
