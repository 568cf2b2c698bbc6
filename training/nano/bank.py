"""Makes the bank of textures that shots are cut from: `python bank.py --out bank.npy`. numpy alone, all cores."""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

import textures

SIDE = 256
# Training and held-out textures never share a seed.
TRAINING_SEED, HELD_OUT_SEED = 1_000_000, 3_000_000_000


def make(seed):
    texture = textures.sample(np.random.default_rng(seed), SIDE)
    if not np.isfinite(texture).all():
        raise ValueError(f"texture {seed} is not finite")
    return (texture * 255 + 0.5).astype(np.uint8)


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", required=True)
    args.add_argument("--count", type=int, default=4000)
    args.add_argument("--held-out", type=int, default=128, help="textures at the front that only evaluations use")
    args.add_argument("--seconds", type=float, default=25, help="stop early after this long, with what there is")
    args.add_argument("--workers", type=int, default=os.cpu_count())
    args = args.parse_args()
    start = time.time()
    seeds = [HELD_OUT_SEED + k for k in range(args.held_out)] + [TRAINING_SEED + k for k in range(args.count)]
    made = []
    with ProcessPoolExecutor(args.workers) as pool:
        chunk = 4 * args.workers
        waiting = [pool.submit(make, s) for s in seeds[:chunk]]
        for k in range(len(seeds)):
            made.append(waiting[k].result())
            if len(waiting) < len(seeds) and time.time() - start < args.seconds:
                waiting.append(pool.submit(make, seeds[len(waiting)]))
            if k + 1 == len(waiting):
                break
    if len(made) < args.held_out + 16:
        raise SystemExit(f"only {len(made)} textures in {args.seconds} s")
    np.save(args.out, np.stack(made))
    print(f"bank: {len(made)} textures of {SIDE}x{SIDE} in {time.time() - start:.1f} s on {args.workers} cores", flush=True)


if __name__ == "__main__":
    main()
