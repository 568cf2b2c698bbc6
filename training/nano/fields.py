"""Numbers over a square: coordinates, noise of a given grain, colours along a ramp."""

import numpy as np


def axes(side):
    """Rows and columns as float32 grids."""
    return np.meshgrid(np.arange(side, dtype=np.float32), np.arange(side, dtype=np.float32), indexing="ij")


def turned(x, y, angle):
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * c + y * s, y * c - x * s


def smooth_step(x):
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def filtered(rng, side, gain):
    """White noise whose spectrum is `gain(fy, fx)` in cycles a pixel; mean 0, spread 1. Wraps round at the edges."""
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32)) * gain(fy, fx)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (side, side))
    return (field / (field.std() + 1e-9)).astype(np.float32)


def cloud(rng, side, cell, rough=0.6):
    """Features of about `cell` pixels and finer ones, as many as `rough` (0 none, 1 many) says."""
    power = 2.5 - 1.5 * rough
    return filtered(rng, side, lambda fy, fx: (1 + (np.hypot(fy, fx) * cell) ** 2) ** -power)


def fractal(rng, side, slope):
    """Amplitude falls with frequency to the power `slope`, as in photographs for slopes near 1."""
    return filtered(rng, side, lambda fy, fx: np.maximum(np.hypot(fy, fx), 0.5 / side) ** -slope)


def fibres(rng, side, length, width, angle):
    """Noise stretched along a direction."""
    def gain(fy, fx):
        along, across = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
        return np.exp(-((along * length) ** 2 + (across * width) ** 2) * 3)
    return filtered(rng, side, gain)


def at(field, y, x):
    """A field (..., side, side) read at fractional places, wrapped round."""
    side = field.shape[-1]
    y0, x0 = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    fy, fx = (y - y0).astype(np.float32), (x - x0).astype(np.float32)
    y0, x0 = y0 % side, x0 % side
    y1, x1 = (y0 + 1) % side, (x0 + 1) % side
    top = field[..., y0, x0] * (1 - fx) + field[..., y0, x1] * fx
    low = field[..., y1, x0] * (1 - fx) + field[..., y1, x1] * fx
    return top * (1 - fy) + low * fy


def warped(rng, side, reach, cell):
    """Coordinates displaced by smooth noise."""
    y, x = axes(side)
    return y + reach * cloud(rng, side, cell, 0.3), x + reach * cloud(rng, side, cell, 0.3)


def ramp(field, colours):
    """Colours over a field in [0, 1], linear between stops. (S, S) -> (3, S, S)"""
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(field, stops, [c[k] for c in colours]) for k in range(3)]).astype(np.float32)


def sample_colour(rng):
    hue, saturation, value = rng.random(), rng.beta(2, 1.5), rng.uniform(0.12, 1)
    return hsv(hue, saturation, value)


def hsv(hue, saturation, value):
    rgb = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation + saturation * rgb)).astype(np.float32)


def palette(rng, count):
    """Related colours from dark to light: one hue that drifts."""
    hue, drift, saturation = rng.random(), rng.normal() * 0.12, rng.uniform(0.05, 0.8)
    low, high = np.sort(rng.uniform(0.03, 1, 2))
    high = max(high, low + 0.25)
    return [hsv(hue + drift * k, np.clip(saturation + 0.1 * rng.normal(), 0, 1), low + (high - low) * k / (count - 1))
            for k in range(count)]
