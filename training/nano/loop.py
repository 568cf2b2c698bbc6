"""What both trainings share: batches by seed from a worker process, a wall-clock schedule, EMA, checkpoints, a log."""

import csv
import math
import os
import time

import numpy as np
import torch

from muon import Muon


class Batches(torch.utils.data.IterableDataset):
    """make(rng) for step after step; the generator of a step depends on seed and step alone."""

    def __init__(self, make, seed, first_step):
        self.make, self.seed, self.step = make, seed, first_step

    def __iter__(self):
        torch.set_num_threads(1)
        while True:
            yield self.make(np.random.default_rng([self.seed, self.step]))
            self.step += 1


def stream(make, seed, first_step):
    return iter(torch.utils.data.DataLoader(Batches(make, seed, first_step), batch_size=None, num_workers=1,
                                            prefetch_factor=4))


def rate(done, peak, warm=0.02, floor=0.02):
    """Learning rate over the fraction of the budget that is done: linear warm-up, then cosine."""
    if done < warm:
        return peak * max(0.01, done / warm)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, (done - warm) / (1 - warm)))))


def optimisers_for(net, peak, decay):
    """Muon for the weights of linear and convolution layers, AdamW for norms, biases and tables."""
    layers = [m for m in net.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d))]
    matrices = [m.weight for m in layers]
    known = {id(w) for w in matrices}
    rest = [p for p in net.parameters() if id(p) not in known]
    return [Muon(matrices, peak, weight_decay=decay), torch.optim.AdamW(rest, peak, betas=(0.9, 0.98), weight_decay=0.0)]


class Run:
    """Net, average of its weights, optimiser, step and seconds spent; saved to and resumed from one file."""

    def __init__(self, net, folder, peak, budget_s, decay=0.0, ema=0.998):
        self.net, self.folder, self.peak, self.budget_s, self.ema = net, folder, peak, budget_s, ema
        self.optimisers = optimisers_for(net, peak, decay)
        self.average = {k: v.detach().clone() for k, v in net.state_dict().items()}
        self.step, self.spent_s = 0, 0.0
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "checkpoint.pt")
        if os.path.exists(self.path):
            saved = torch.load(self.path, weights_only=True)
            net.load_state_dict(saved["net"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"]):
                optimiser.load_state_dict(state)
            self.average, self.step, self.spent_s = saved["average"], saved["step"], saved["spent_s"]
        self.clock, self.saved_s = time.time(), self.spent_s

    @property
    def done(self):
        return self.spent_s / self.budget_s

    def update(self, loss):
        """One step; returns the gradient norm."""
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate(self.done, self.peak)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        keep = min(self.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for k, v in self.net.state_dict().items():
                self.average[k].lerp_(v, 1 - keep)
        now = time.time()
        self.spent_s, self.clock = self.spent_s + now - self.clock, now
        return float(norm)

    def save(self, every_s=0):
        if self.spent_s - self.saved_s < every_s:
            return False
        state = dict(net=self.net.state_dict(), optimisers=[o.state_dict() for o in self.optimisers],
                     average=self.average, step=self.step, spent_s=self.spent_s)
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)
        self.saved_s = self.spent_s
        return True

    def log(self, **row):
        path = os.path.join(self.folder, "log.csv")
        fresh = not os.path.exists(path)
        with open(path, "a", newline="") as f:
            writer = csv.writer(f)
            if fresh:
                writer.writerow(["step", "seconds", *row])
            writer.writerow([self.step, round(self.spent_s), *(f"{v:.5g}" for v in row.values())])


def average_of(net_like, run):
    net_like.load_state_dict(run.average)
    return net_like.eval().requires_grad_(False)


def psnr(a, b, weight=None):
    """dB between pictures in [0, 1]; `weight` broadcasts over channels."""
    square = (a - b).square()
    mean = square.mean() if weight is None else (square * weight).sum() / (weight.expand_as(square).sum() + 1e-9)
    return float(-10 * torch.log10(mean + 1e-12))
