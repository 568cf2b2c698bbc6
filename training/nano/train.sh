#!/usr/bin/env bash
# The whole recipe on one machine: textures, VAE, transformer, figures. OUT receives the model folders, logs and a sheet.
# VAE_S and NET_S: seconds for the two trainings. BANK_S, TEXTURES: at most so long, at most so many textures.
# RUN: folder of the bank and the checkpoints. --smoke: everything once at tiny sizes.
set -euo pipefail
cd "$(dirname "$0")"
: "${OUT:?a folder for the results}"
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1
RUN=${RUN:-$(mktemp -d)}
PYTHON=${PYTHON:-python3}
smoke=()
if [[ ${1:-} == --smoke ]]; then
    smoke=(--smoke)
    VAE_S=${VAE_S:-2} NET_S=${NET_S:-2} BANK_S=${BANK_S:-4} TEXTURES=${TEXTURES:-24} HELD_OUT=${HELD_OUT:-8}
fi
held=(--held-out "${HELD_OUT:-128}")

minutes() { "$PYTHON" -c "print($1 / 60)"; }

mkdir -p "$OUT" "$RUN"
exec > >(tee "$OUT/train.log") 2>&1
if command -v nvidia-smi >/dev/null; then nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader; fi
began=$SECONDS
say() { echo "== $((SECONDS - began)) s: $*"; }
# Each log is brought out as it grows, so that a run that is cut off leaves what it knew.
follow() { while sleep 15; do cp -f "$RUN/$1/$1_log.csv" "$OUT/" 2>/dev/null || true; done; }

if compgen -G "wheels/*.whl" >/dev/null; then  # for machines that cannot fetch them
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target "$RUN/site" wheels/*.whl
    export PYTHONPATH=$RUN/site
fi
say textures
"$PYTHON" bank.py --out "$RUN/bank.npy" --seconds "${BANK_S:-22}" --count "${TEXTURES:-4000}" "${held[@]}"
say VAE
follow vae >/dev/null & follower=$!
trap 'kill $follower 2>/dev/null || true' EXIT
"$PYTHON" train_vae.py --bank "$RUN/bank.npy" --folder "$RUN/vae" --out "$OUT" --minutes "$(minutes "${VAE_S:-150}")" "${held[@]}" "${smoke[@]}"
kill "$follower"
cp -f "$RUN/vae/vae_log.csv" "$OUT/"
say transformer
follow transformer >/dev/null & follower=$!
"$PYTHON" train_transformer.py --bank "$RUN/bank.npy" --folder "$RUN/transformer" --out "$OUT" --sheet "$OUT/sheet.png" \
    --minutes "$(minutes "${NET_S:-230}")" "${held[@]}" "${smoke[@]}"
kill "$follower"
cp -f "$RUN/transformer/transformer_log.csv" "$OUT/"
say figures
"$PYTHON" evaluate.py --bank "$RUN/bank.npy" --model "$OUT" --sheet "$OUT/sheet.png" "${held[@]}" "${smoke[@]}"
say done
ls -l "$OUT" "$OUT"/*/
