"""Write the editor as a diffusers StableDiffusionInstructPix2PixPipeline directory. usage: export_editor.py OUT_DIR STATE.pt [--base DIR]

VAE, tokenizer and scheduler are the base model's; UNet (8 input channels) and text encoder are the editor's own.
"""
import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from export import text_key, write


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("state")
    parser.add_argument("--base", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    args = parser.parse_args()
    shutil.copytree(args.base, args.out)
    for folder, _, names in os.walk(args.out):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o644)
    state = torch.load(args.state)
    write(args.out, "text_encoder", {text_key(k[5:]): v for k, v in state.items() if k.startswith("text.")})
    unet = {k[5:]: v.to(torch.float16).contiguous() for k, v in state.items() if k.startswith("unet.")}
    save_file(unet, os.path.join(args.out, "unet", "diffusion_pytorch_model.safetensors"), metadata={"format": "pt"})
    for path, key, value in (("unet/config.json", "in_channels", 8),
                             ("model_index.json", "_class_name", "StableDiffusionInstructPix2PixPipeline")):
        with open(os.path.join(args.out, path)) as file:
            config = json.load(file)
        config[key] = value
        with open(os.path.join(args.out, path), "w") as file:
            json.dump(config, file, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
