"""The kernels as PyTorch users call them."""

import torch
import torch.nn.functional as F

EPS = 1e-6


def cases(kernel):
    """The rows of one kernel of cases.json: name -> function that builds the case."""
    name = f"kernel/{kernel['name']}"
    rows = {f"{name}/forward": lambda: forward(kernel)}
    if kernel.get("backward", False):
        rows[f"{name}/forward-backward"] = lambda: forward_backward(kernel)
    return rows


def forward(kernel):
    inputs, call = BUILDERS[kernel["op"]](kernel)

    @torch.inference_mode()
    def run():
        call(*inputs)

    return run


def forward_backward(kernel):
    inputs, call = BUILDERS[kernel["op"]](kernel)
    with torch.no_grad():
        gradient = torch.randn_like(call(*inputs), memory_format=torch.contiguous_format)
    inputs = [x.requires_grad_() for x in inputs]

    def run():
        torch.autograd.grad(call(*inputs), inputs, gradient)

    return run


def weight(*shape):
    return torch.randn(shape) / torch.Size(shape[1:]).numel() ** 0.5


def conv(kernel):
    frames, channels, rows, columns = kernel["x"]
    kernel_frames, side = kernel["kernel"]
    pad, lead, bias = side // 2, kernel.get("lead", 0), torch.randn(kernel["outputs"])
    if kernel_frames == 1:
        w = weight(kernel["outputs"], channels, side, side)
        doubled = kernel.get("doubled", False)

        def call(x):
            if doubled:
                x = F.interpolate(x, scale_factor=(2.0, 2.0), mode="nearest-exact")
            return F.conv2d(x, w, bias, padding=pad)

        return [torch.randn(frames, channels, rows, columns)], call
    w = weight(kernel["outputs"], channels, kernel_frames, side, side)

    def call(x):
        # Causal: frames of zeros before the first only, which conv3d's own padding cannot say.
        if lead:
            return F.conv3d(F.pad(x, (pad, pad, pad, pad, lead, 0)), w, bias)
        return F.conv3d(x, w, bias, padding=(0, pad, pad))

    return [torch.randn(1, channels, frames, rows, columns)], call


def attention(kernel):
    batch, _, heads, channels = kernel["q"]
    keys = (batch, kernel["keys"], heads, channels)

    def call(q, k, v):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    return [torch.randn(kernel["q"]), torch.randn(keys), torch.randn(keys)], call


def frozen_linear(kernel):
    w, bias = weight(kernel["outputs"], kernel["x"][-1]), torch.randn(kernel["outputs"])
    return [torch.randn(kernel["x"])], lambda x: F.linear(x, w, bias)


def adapted_linear(kernel):
    outputs, inputs, rank = kernel["outputs"], kernel["x"][-1], kernel["rank"]
    w, bias = weight(outputs, inputs), torch.randn(outputs)

    def call(x, a, b):
        return F.linear(x, w, bias) + F.linear(F.linear(x, a), b)

    return [torch.randn(kernel["x"]), weight(rank, inputs), weight(outputs, rank)], call


def gelu_tanh(kernel):
    return [torch.randn(kernel["x"])], lambda x: F.gelu(x, approximate="tanh")


def layer_norm(kernel):
    batch, _, dim = kernel["x"]
    gain, shift = torch.randn(batch, 1, dim), torch.randn(batch, 1, dim)
    return [torch.randn(kernel["x"])], lambda x: F.layer_norm(x, (dim,), eps=EPS) * gain + shift


def rms_norm(kernel):
    dim = kernel["x"][-1]
    gain = torch.randn(dim)
    return [torch.randn(kernel["x"])], lambda x: F.rms_norm(x, (dim,), gain, EPS)


def rope(kernel):
    _, tokens, _, channels = kernel["x"]
    angles = torch.rand(1, tokens, 1, channels // 2) * 10
    cos, sin = angles.cos(), angles.sin()

    def call(x):
        even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
        return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

    return [torch.randn(kernel["x"])], call


def gated_add(kernel):
    batch, _, dim = kernel["x"]
    gate = torch.randn(batch, 1, dim)
    return [torch.randn(kernel["x"]), torch.randn(kernel["x"])], lambda x, y: torch.addcmul(x, y, gate)


BUILDERS = {
    "conv": conv,
    "attention": attention,
    "frozen-linear": frozen_linear,
    "adapted-linear": adapted_linear,
    "gelu-tanh": gelu_tanh,
    "layer-norm": layer_norm,
    "rms-norm": rms_norm,
    "rope": rope,
    "gated-add": gated_add,
}
