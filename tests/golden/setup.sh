#!/bin/bash
# The PyTorch reference environment for the CPU from PyPI: about 1.8 GB, about 4 minutes.
# usage: setup.sh VENV_DIR        needs python3.11, gcc, nm, readelf
#
# The torch wheel on PyPI is the CUDA build. To use it on a CPU without its 2.4 GB of nvidia wheels, torch is installed without
# dependencies, and every CUDA library it links to is replaced by a stub that aborts when called.
set -e
VENV=${1:-venv}
HERE=$(cd "$(dirname "$0")" && pwd)
python3.11 -m venv "$VENV"
install() { "$VENV/bin/pip" install --no-cache-dir -q "$@"; }
install --no-deps torch==2.15.0
install filelock "typing-extensions>=4.13" "setuptools>=77.0.3" "sympy>=1.13.3" "networkx>=2.5.1" jinja2 "fsspec>=0.8.5" numpy==2.4.6
install --no-deps nvidia-cuda-runtime==13.2.86 nvidia-cuda-cupti==13.2.86      # small ones that torch calls while loading
install diffusers==0.42.1 transformers==5.23.0 safetensors==0.8.0 pillow==13.0.0 psutil pyyaml
install --no-deps accelerate==1.15.0                                          # with dependencies it would pull the nvidia wheels
bash "$HERE/cuda_stubs.sh" "$VENV"
"$VENV/bin/python" -c 'import torch, diffusers, transformers; print(torch.__version__, diffusers.__version__, transformers.__version__)'
