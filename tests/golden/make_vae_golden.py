#!/usr/bin/env python3
"""vae-512/vae.safetensors: the full-size SD 2.1 decoder (seeded weights, seed 0, f16) on 64 x 64 latents, a 512 x 512 picture.

usage: make_vae_golden.py [OUT_DIR]

latents [1,4,64,64]       normal numbers, already divided by the scaling factor
picture [1,3,64,64]       every eighth pixel of the decoded picture, from row 3 and column 5
means [1,3,512]           the mean of each of its rows
"""
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

import configs
from models import seeded_module

HERE = os.path.dirname(os.path.abspath(__file__))


@torch.no_grad()
def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "vae-512")
    vae = seeded_module("vae", configs.VAE_SD, 0, "f16")
    generator = np.random.Generator(np.random.PCG64(1000))
    latents = torch.from_numpy(generator.standard_normal((1, 4, 64, 64)).astype(np.float32))
    picture = vae.decode(latents).sample
    assert torch.isfinite(picture).all()
    os.makedirs(out, exist_ok=True)
    path = out + "/vae.safetensors"
    save_file({"latents": latents, "picture": picture[:, :, 3::8, 5::8].contiguous(), "means": picture.mean(-1)}, path)
    os.chmod(path, 0o644)
    print(f"rms {picture.pow(2).mean().sqrt():.3f}")


if __name__ == "__main__":
    main()
