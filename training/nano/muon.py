"""Muon: momentum whose matrices are orthogonalised before each step (Jordan et al. 2024). Far fewer steps than AdamW here."""

import collections

import torch


def orthogonal(matrices, steps=4):
    """Nearest semi-orthogonal matrices, roughly, by quintic Newton-Schulz steps. (n, rows, columns)"""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of linear and convolution layers; `lr` is the root mean square of one step's change, as for AdamW.

    Weights of one shape are stepped together: a network of many small layers costs as many kernels as it has shapes.
    """

    def __init__(self, weights, lr, momentum=0.95, weight_decay=0.0):
        super().__init__(weights, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = collections.defaultdict(list)
            for w in group["params"]:
                if w.grad is not None:
                    alike[w.shape].append(w)
            for weights in alike.values():
                self.step_alike(weights, **{k: group[k] for k in ("lr", "momentum", "weight_decay")})

    def step_alike(self, weights, lr, momentum, weight_decay):
        grads = [w.grad for w in weights]
        speeds = [self.state[w].setdefault("speed", torch.zeros_like(w)) for w in weights]
        torch._foreach_lerp_(speeds, grads, 1 - momentum)
        push = torch.stack([torch.lerp(g, s, momentum).flatten(1) for g, s in zip(grads, speeds)])
        push = orthogonal(push) * (-0.2 * lr * max(push.shape[1:]) ** 0.5)
        torch._foreach_mul_(weights, 1 - lr * weight_decay)
        torch._foreach_add_(weights, [p.view(w.shape) for p, w in zip(push, weights)])
