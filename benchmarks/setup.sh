#!/usr/bin/env bash
# Makes benchmarks/.venv with the peer of `cargo xtask bench --peer` (PyTorch, diffusers, peft). Run it once.
#
# The peer runs on the CPU alone, but the plain `torch` wheel for Linux brings CUDA's libraries: gigabytes more than
# needed. Wheels without them lie on an index of their own; if your pip is set up to find it, they are taken.
set -euo pipefail
cd "$(dirname "$0")"
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --upgrade pip
.venv/bin/python -m pip install --quiet -r requirements.txt
.venv/bin/python peer.py </dev/null
.venv/bin/python -c 'import torch; print("the peer is ready: torch", torch.__version__)'
