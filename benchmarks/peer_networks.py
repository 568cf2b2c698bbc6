"""The networks of diffusers with random weights, adapted by peft: eager, of torch's default type, one builder per row."""

import inspect
import json
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.utils import logging
from peft import LoraConfig

ROOT = Path(__file__).resolve().parent.parent
# The ten linears of each block.
TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]

logging.set_verbosity_error()


def transformer_forward(network):
    model, data = load(WanTransformer3DModel, network["transformer"]), inputs(network)
    x, t = torch.cat([data["latents"], data["condition"]], 1), torch.tensor([500.0])

    @torch.inference_mode()
    def run():
        predict(model, x, t, data)

    return run


def lora_train_step_recomputed(network):
    return lora_train_step(network, recompute=True)


def lora_train_step(network, recompute=False):
    model, data = load(WanTransformer3DModel, network["transformer"]).train(), inputs(network)
    model.requires_grad_(False)
    model.add_adapter(LoraConfig(r=16, lora_alpha=16, target_modules=TARGETS))
    adapter = [p for p in model.parameters() if p.requires_grad]
    if recompute:
        model.enable_gradient_checkpointing()
        assert model.is_gradient_checkpointing
    assert len(adapter) == 20 * len(model.blocks), f"{len(adapter)} tensors are trained"
    optimiser = torch.optim.AdamW(adapter, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    latents, condition = data["latents"], data["condition"]

    def run():
        sigma, noise = torch.rand((), device=latents.device), torch.randn_like(latents)
        x = torch.cat([latents.lerp(noise, sigma), condition], 1)
        velocity = predict(model, x, sigma.reshape(1) * 1000, data)
        loss = (velocity - (noise - latents)).float().square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter, 1.0)
        optimiser.step()
        # Whoever trains looks at the loss; ours checks it.
        loss.item()

    return run


def vae_encode(network):
    vae = load(AutoencoderKLWan, network["vae"])
    video = torch.randn(1, 3, network["frames"], network["rows"], network["columns"])

    @torch.inference_mode()
    def run():
        vae.encode(video).latent_dist.mode()

    return run


def vae_decode(network):
    vae = load(AutoencoderKLWan, network["vae"])
    latent = torch.randn(latent_shape(network, vae.config.z_dim))

    @torch.inference_mode()
    def run():
        return vae.decode(latent, return_dict=False)

    return run


def predict(model, x, t, data):
    return model(x, t, data["text"], data["image"], return_dict=False)[0]


def load(network, described):
    """The network of a configuration, or of one that lies in the repository."""
    config = read(described)
    known = inspect.signature(network.__init__).parameters
    model = network(**{key: value for key, value in config.items() if key in known}).eval()
    # As `from_pretrained` leaves them whatever type is asked for.
    exact = getattr(network, "_keep_in_fp32_modules", None) or []
    for name, parameter in model.named_parameters():
        if any(part in exact for part in name.split(".")):
            parameter.data = parameter.data.float()
    return model


def read(described):
    return json.loads((ROOT / described).read_text()) if isinstance(described, str) else described


def latent_shape(network, channels):
    vae = {"dim_mult": [1, 2, 4, 4]} | read(network["vae"])
    side = (vae.get("patch_size") or 1) << (len(vae["dim_mult"]) - 1)
    frames = 1 + (network["frames"] - 1) // 4
    return (1, channels, frames, network["rows"] // side, network["columns"] // side)


def inputs(network):
    config = read(network["transformer"])
    outputs, text_dim, image_dim = config["out_channels"], config["text_dim"], config.get("image_dim")
    image = torch.randn(1, network["image_tokens"], image_dim) if image_dim else None
    return {
        "latents": torch.randn(latent_shape(network, outputs)),
        "condition": torch.randn(latent_shape(network, config["in_channels"] - outputs)),
        "text": torch.zeros(1, network["text_tokens"], text_dim),
        "image": image,
    }
