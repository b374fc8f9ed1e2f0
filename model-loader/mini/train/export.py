"""Write a model directory in diffusers layout with f16 safetensors.

usage: export.py OUT_DIR [--base DIR] [--vae STATE.pt] [--unet STATE.pt]
Parts without a state come from the base model directory. The text encoder's keys carry the published prefix "text_model.".
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import load_file, save_file

FILES = dict(text_encoder="model.safetensors", unet="diffusion_pytorch_model.safetensors",
             vae="diffusion_pytorch_model.safetensors")


def write(folder, part, state):
    tensors = {k: v.to(torch.float16).contiguous() for k, v in state.items() if not k.endswith("position_ids")}
    path = os.path.join(folder, part, FILES[part])
    known = load_file(path)
    if set(tensors) != set(known):
        raise SystemExit(f"{part}: tensor names differ from those of the base model")
    save_file(tensors, path, metadata={"format": "pt"})


def text_key(key):
    return key if key.startswith("text_model.") else "text_model." + key


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--base", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    parser.add_argument("--vae")
    parser.add_argument("--unet", help="state of train_unet.py: UNet and text encoder")
    args = parser.parse_args()
    shutil.copytree(args.base, args.out)
    if args.vae:
        write(args.out, "vae", torch.load(args.vae))
    if args.unet:
        state = torch.load(args.unet)
        write(args.out, "unet", {k[5:]: v for k, v in state.items() if k.startswith("unet.")})
        write(args.out, "text_encoder", {text_key(k[5:]): v for k, v in state.items() if k.startswith("text.")})
    sizes = {}
    for folder, _, names in os.walk(args.out):
        for name in names:
            path = os.path.join(folder, name)
            os.chmod(path, 0o644)
            sizes[os.path.relpath(path, args.out)] = os.path.getsize(path)
    print(json.dumps(sizes, indent=1), sum(sizes.values()), "bytes")


if __name__ == "__main__":
    main()
