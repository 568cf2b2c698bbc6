"""What both trainings share: a wall-clock schedule, the average of the weights, checkpoints, a log."""

import csv
import math
import os
import time

import torch

from muon import Muon


def rate(done, peak, warm=0.02, floor=0.01):
    """Learning rate over the fraction of the budget that is done: linear warm-up, then cosine."""
    if done < warm:
        return peak * max(0.01, done / warm)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, (done - warm) / (1 - warm)))))


def optimisers_for(parts, decay):
    """Muon for the weights of linear and convolution layers, AdamW for norms, biases and tables.

    `parts` are pairs of a module and its share of the learning rate.
    """
    groups = [], []
    for part, share in parts:
        layers = [m for m in part.modules() if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d))]
        known = {id(m.weight) for m in layers}
        groups[0].append(dict(params=[m.weight for m in layers], share=share))
        groups[1].append(dict(params=[p for p in part.parameters() if id(p) not in known], share=share))
    return [Muon(groups[0], 0.0, weight_decay=decay), torch.optim.AdamW(groups[1], 0.0, betas=(0.9, 0.98), weight_decay=0.0)]


class Run:
    """Net, average of its weights, optimiser, step and seconds spent; saved to and resumed from one file."""

    def __init__(self, net, folder, peak, budget_s, decay=0.0, ema=0.995, parts=None):
        self.net, self.peak, self.budget_s, self.ema = net, peak, budget_s, ema
        self.optimisers = optimisers_for(parts or [(net, 1.0)], decay)
        self.weights = net.state_dict()
        self.average = {k: v.detach().clone() for k, v in self.weights.items()}
        self.step, self.spent_s = 0, 0.0
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, "checkpoint.pt")
        if os.path.exists(self.path):
            saved = torch.load(self.path, weights_only=True)
            net.load_state_dict(saved["net"])
            for optimiser, state in zip(self.optimisers, saved["optimisers"]):
                optimiser.load_state_dict(state)
            for k, v in saved["average"].items():
                self.average[k].copy_(v)
            self.step, self.spent_s = saved["step"], saved["spent_s"]
        self.clock = time.time()

    @property
    def done(self):
        return self.spent_s / self.budget_s

    def update(self, loss):
        """One step; returns the gradient norm, still on the device. The clock runs, whatever else is done between steps."""
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate(self.done, self.peak) * group["share"]
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        keep = min(self.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.values()), list(self.weights.values()), 1 - keep)
        now = time.time()
        self.spent_s, self.clock = self.spent_s + now - self.clock, now
        return norm

    def save(self):
        state = dict(net=self.weights, optimisers=[o.state_dict() for o in self.optimisers], average=self.average,
                     step=self.step, spent_s=self.spent_s)
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def averaged(self, like):
        """`like`, a net of the same sizes, with the averaged weights."""
        like.load_state_dict(self.average)
        return like.eval().requires_grad_(False)


class Report:
    """Sums up what steps tell between two lines; a row of the log and a line of text at every `line`."""

    def __init__(self, run, path, columns):
        self.run, self.path, self.columns = run, path, columns
        self.sums, self.start_s, self.start_step, self.amount, self.work = {}, run.spent_s, run.step, 0, 0.0
        if run.step == 0 or not os.path.exists(path):
            with open(path, "w", newline="") as f:
                csv.writer(f).writerow(["step", "seconds", *columns])

    def add(self, clips, flops, **values):
        """Values stay on the device until a line is due."""
        self.amount, self.work = self.amount + clips, self.work + flops
        for k, v in values.items():
            self.sums[k] = self.sums.get(k, 0) + v.detach()

    @property
    def age_s(self):
        return self.run.spent_s - self.start_s

    def line(self, **measured):
        steps, seconds = max(1, self.run.step - self.start_step), max(1e-3, self.age_s)
        row = {k: float(v) / steps for k, v in self.sums.items()}
        if not all(math.isfinite(v) for v in row.values()):
            raise SystemExit(f"step {self.run.step}: not finite: {row}")
        row |= measured
        with open(self.path, "a", newline="") as f:
            csv.writer(f).writerow([self.run.step, round(self.run.spent_s), *(f"{row[c]:.5g}" if c in row else "" for c in self.columns)])
        told = " ".join(f"{k} {v:.4g}" for k, v in row.items())
        print(f"step {self.run.step} {self.run.spent_s:.0f} s: {told}; {1000 * seconds / steps:.0f} ms a step, "
              f"{self.amount / seconds:.0f} clips/s, {self.work / seconds / 1e12:.2f} TFLOP/s", flush=True)
        self.sums, self.amount, self.work = {}, 0, 0.0
        self.start_s, self.start_step = self.run.spent_s, self.run.step


def psnr(a, b, weight=None):
    """Mean dB of clips (b, 3, t, h, w) in [0, 1]; `weight` (b, t, h, w) says where. Not a number if that is nowhere."""
    square = (a - b).square().mean(1)
    weight = torch.ones_like(square) if weight is None else weight
    total = weight.flatten(1).sum(1)
    mean = (square * weight).flatten(1).sum(1) / total.clamp_min(1e-9)
    return float(-10 * torch.log10(mean[total > 50] + 1e-12).mean())
