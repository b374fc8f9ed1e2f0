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
make tiny-sdxl --seed 1 --hw 8x12 --steps 7 --taps no --out tiny-sdxl-s1
make tiny-controlnet --seed 1 --hw 8x16 --steps 7 --taps no --out tiny-controlnet-s1
make tiny-controlnet-sdxl --seed 3 --hw 12x8 --steps 3 --taps no --out tiny-controlnet-sdxl-s3
# full size: about 8 GB of memory, SDXL 14
make sd21-base --seed 0 --hw 16x24 --parts text,unet,vae --drop 'te.*.penultimate' --threads "${THREADS:-2}" --out sd21-base-s0
make sd21-768 --seed 1 --hw 16x24 --parts text,unet --drop 'te.*.penultimate,te.*.pooled' --threads "${THREADS:-2}" --out sd21-768-s1
make controlnet-sd21 --seed 0 --hw 32x32 --parts unet --drop 'controlnet.down.0*,controlnet.down.10' --taps no --f64 no \
    --threads "${THREADS:-2}" --out controlnet-sd21-s0
make sdxl --seed 0 --hw 32x32 --parts text,unet --drop 'te.*,te2.*.penultimate' --threads "${THREADS:-2}" --out sdxl-s0
"$PYTHON" make_vae_golden.py
"$PYTHON" make_job_golden.py
"$PYTHON" make_scheduler_cases.py
"$PYTHON" weights.py
"$PYTHON" make_rng.py
"$PYTHON" make_tokens.py
