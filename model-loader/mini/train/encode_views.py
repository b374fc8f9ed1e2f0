"""Latents (posterior means) of every view and of its mirror image with the frozen VAE encoder of the model directory.

usage: encode_views.py DATA_DIR [--model DIR] [--rank R --world W]
Reads DATA_DIR/v_*.npy (N,128,128,3 uint8), writes DATA_DIR/z_*.npy (2,N,4,16,16 f16, not multiplied by the scaling factor).
"""
import argparse
import glob
import os
import time

import numpy as np
import torch
from diffusers import AutoencoderKL

BATCH = 32


def to_model_range(images):
    """N,H,W,3 uint8 -> N,3,H,W float in -1..1, channels last in memory."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return x.contiguous(memory_format=torch.channels_last).float() / 127.5 - 1


@torch.no_grad()
def encode_file(vae, path, out):
    views = np.load(path)
    latents = np.empty((2, len(views), 4, 16, 16), np.float16)
    for start in range(0, len(views), BATCH):
        part = views[start:start + BATCH]
        for mirrored, images in ((0, part), (1, part[:, :, ::-1])):
            mean = vae.encode(to_model_range(images)).latent_dist.mean
            latents[mirrored, start:start + BATCH] = mean.numpy()
    np.save(out + ".tmp.npy", latents)
    os.rename(out + ".tmp.npy", out)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--model", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--world", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    vae = AutoencoderKL.from_pretrained(args.model, subfolder="vae", torch_dtype=torch.float32).eval()
    vae.to(memory_format=torch.channels_last)
    for path in sorted(glob.glob(args.data + "/v_*.npy"))[args.rank::args.world]:
        out = path.replace("/v_", "/z_")
        if not os.path.exists(out):
            start = time.time()
            encode_file(vae, path, out)
            print(f"{out} {time.time() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
