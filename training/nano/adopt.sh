#!/usr/bin/env bash
# Takes the results of `train.sh` into the bundle and runs the tests that look at the embedded model's own weights.
# What is left by hand: thresholds that a better or a wider network has moved, and figures in the documents (README.md, below).
set -euo pipefail
results=$(realpath "${1:?folder that train.sh wrote}")
cd "$(dirname "$0")"
for part in vae transformer; do
    cp "$results/$part/config.json" "$results/$part/diffusion_pytorch_model.safetensors" "../../bundle/models/nano/$part/"
done
cp "$results/vae_log.csv" "$results/transformer_log.csv" .
"${PYTHON:-python3}" plot.py vae_log.csv transformer_log.csv curve.png
cd ../..
cargo test -p lora-edit-model --no-fail-fast --test nano --test vae_tiles --test guidance --test detect -- --nocapture
cargo test -p lora-edit-pipeline --no-fail-fast --lib memory
