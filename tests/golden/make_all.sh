#!/bin/bash
# Remakes every committed golden directory. usage: make_all.sh PYTHON
set -e
cd "$(dirname "$0")"
make() { "$PYTHON" make_golden.py "$@"; }
PYTHON=${1:-venv/bin/python}
make tiny-sd21 --seed 0 --weights yes --out tiny-sd21-s0
make tiny-sd21 --seed 1 --hw 8x16 --steps 7 --out tiny-sd21-s1
make tiny-sd21-v --seed 0 --out tiny-sd21-v-s0
make tiny-sd21-v --seed 1 --hw 8x16 --steps 7 --out tiny-sd21-v-s1
make hf-tiny-sd --seed 0 --taps no --out hf-tiny-sd-s0
make tiny-ip2p --seed 0 --out tiny-ip2p-s0
make tiny-ip2p --seed 1 --hw 8x16 --steps 7 --out tiny-ip2p-s1
make tiny-sd21 --seed 4 --hw 10x13 --steps 3 --taps no --weights no --out tiny-sd21-odd-s4
make tiny-sdxl --seed 0 --weights no --out tiny-sdxl-s0
make tiny-controlnet --seed 0 --weights no --out tiny-controlnet-s0
make tiny-controlnet-sdxl --seed 2 --hw 8x12 --weights no --out tiny-controlnet-sdxl-s2
# full size: about 8 GB of memory
make sd21-base --seed 0 --hw 16x24 --parts text,unet,vae --drop 'te.*.penultimate' --threads "${THREADS:-2}" --out sd21-base-s0
"$PYTHON" weights.py
"$PYTHON" make_rng.py
"$PYTHON" make_tokens.py
