"""Measures PyTorch's side of the benchmarks: the worker's protocol (src/worker.rs), the same cases (cases.json, on a GPU
gpu.json)."""

import argparse
import gc
import importlib.metadata
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent


def builders(file="cases.json"):
    """Case name -> function that builds the case and gives a function that runs it once."""
    # Imported here, so that the memory before a kernel is that of torch alone.
    import peer_kernels

    sizes = json.loads((HERE / file).read_text())
    cases = {}
    for kernel in sizes["kernels"]:
        cases.update(peer_kernels.cases(kernel))
    for network in sizes["networks"]:
        cases.update(network_cases(network))
    return cases


def network_cases(network):
    def build(what):
        import peer_networks

        return getattr(peer_networks, what)(network)

    every = ["transformer-forward", "lora-train-step", "lora-train-step-recomputed", "vae-encode", "vae-decode"]
    steps = [step for step in every if step in network.get("steps", every)]
    return {f"{network['name']}/{step}": lambda step=step: build(step.replace("-", "_")) for step in steps}


def measure(run, repeat):
    """The median wall time of `repeat` calls, and their mean processor time."""
    times = []
    before = time.process_time()
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1e3)
    processor = (time.process_time() - before) * 1e3 / repeat
    return {"ms": statistics.median(times), "cpu_ms": processor}


def answer(cases, running, request):
    if "case" in request:
        name = request["case"]
        if name not in running:
            run = cases[name]()
            run()
            running[name] = run
        return measure(running[name], max(1, request["repeat"]))
    if "drop" in request:
        return {"dropped": running.pop(request["drop"], None) is not None}
    if "list" in request:
        return list(cases)
    if "versions" in request:
        return versions()
    raise ValueError(f"unknown request {request}")


def versions():
    packages = ["torch", "diffusers", "peft"]
    found = {package: importlib.metadata.version(package) for package in packages}
    return {"python": sys.version.split()[0], **found}


def serve(cases):
    running = {}
    for line in sys.stdin:
        try:
            reply = answer(cases, running, json.loads(line))
        except Exception as error:  # the driver decides what a failed case means
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


def memory(cases, name):
    """As worker.rs measures it: the peak of two runs, less what was resident before the case was built."""
    if not name.startswith("kernel/"):
        import peer_networks  # noqa: F401 (its imports are no part of the case)
    before = status_mb("VmRSS:")
    if before is None:
        return {"mb": None}
    run = cases[name]()
    Path("/proc/self/clear_refs").write_text("5")
    run()
    run()
    return {"mb": status_mb("VmHWM:") - before}


def status_mb(field):
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    kilobytes = next(line for line in lines if line.startswith(field)).split()[1]
    return int(kilobytes) * 1024 / 1e6


def on_gpu(names, repeat, device):
    """Cases on a GPU, as src/gpu.rs measures and prints them: in bf16, the VAE in f32."""
    for name in names.split(","):
        try:
            one_on_gpu(name, repeat, torch.cuda if device == "cuda" else NoGpu, device)
        except Exception as error:  # the next case may work
            print(json.dumps({"case": name, "error": f"{type(error).__name__}: {error}"}), flush=True)


def one_on_gpu(name, repeat, gpu, device):
    def tell(what, value):
        print(json.dumps({"case": name, what: value}), flush=True)

    def timed(call):
        began = time.perf_counter()
        done = call()
        gpu.synchronize()
        return done, time.perf_counter() - began

    def taken():
        gpu.synchronize()
        return (free - gpu.mem_get_info()[0]) / 1e6

    gc.collect()
    gpu.synchronize()
    gpu.empty_cache()
    gpu.reset_peak_memory_stats()
    free = gpu.mem_get_info()[0]
    torch.set_default_dtype(torch.float32 if "/vae-" in name else torch.bfloat16)
    with torch.device(device):
        run, seconds = timed(builders("gpu.json")[name])
    tell("build_s", seconds)
    tell("built_mb", taken())
    tell("first_s", timed(run)[1])
    times = []
    for _ in range(max(1, repeat)):
        times.append(timed(run)[1])
        tell("s", times[-1])
        tell("peak_mb", taken())  # what torch was given, not all of it in use; it keeps it
        tell("peak_in_use_mb", gpu.max_memory_allocated() / 1e6)
    tell("median_s", statistics.median(times))


class NoGpu:
    """To try `--gpu` where there is none."""

    synchronize = empty_cache = reset_peak_memory_stats = staticmethod(lambda: None)
    mem_get_info = staticmethod(lambda: (0, 0))
    max_memory_allocated = staticmethod(lambda: 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", metavar="CASE", help="print the memory of one case and leave")
    parser.add_argument("--gpu", nargs=2, metavar=("CASE,...", "REPEAT"), help="measure cases of gpu.json and leave")
    parser.add_argument("--device", default="cuda", help="what --gpu measures on, cuda or cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    torch.manual_seed(1)
    if arguments.gpu:
        return on_gpu(arguments.gpu[0], int(arguments.gpu[1]), arguments.device)
    cases = builders()
    if arguments.memory:
        print(json.dumps(memory(cases, arguments.memory)))
    else:
        serve(cases)


if __name__ == "__main__":
    main()
