"""Muon: momentum whose matrices are orthogonalised before each step (Jordan et al. 2024). Far fewer steps than AdamW here."""

import torch


def orthogonal(matrix, steps=3):
    """Nearest semi-orthogonal matrix, roughly: three quintic Newton-Schulz steps, since the usual five cost as much as a gradient here."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of linear and convolution layers; `lr` is the root mean square of one step's change, as for AdamW."""

    def __init__(self, weights, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(weights, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is None:
                    continue
                speed = self.state[w].setdefault("speed", torch.zeros_like(w))
                speed.lerp_(w.grad, 1 - group["momentum"])
                push = orthogonal(w.grad.lerp(speed, group["momentum"]).flatten(1))
                w.mul_(1 - group["lr"] * group["weight_decay"])
                w.add_(push.reshape(w.shape), alpha=-0.2 * group["lr"] * max(push.shape) ** 0.5)
