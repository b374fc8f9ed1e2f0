#!/usr/bin/env python3
"""mini/: what diffusers computes from the trained mini model (model-loader/mini/model), f32 maths on its f16 weights.

usage: make_mini_golden.py [MODEL_DIR] [OUT_DIR]

mini.safetensors
    ids [4,77]                      token ids of the three prompts and of ""
    text [4,77,64]                  last_hidden_state of each
    start [3,4,16,16]               torch.randn(1,4,16,16) of each prompt's seed (CPU generator)
    unet.t<T> [2,4,16,16]           UNet on start[0] at timestep T, rows (uncond, cond of prompt 0)
    ddim25.timesteps [25]
    ddim25.after<I> [3,4,16,16]     latents after step I (from 0) of DDIM, 25 steps, guidance 5; after24 is the end
    euler25.end [4,16,16]           the same run of prompt 0 with the Euler scheduler's own spacing "leading"
    decoded [3,128,128]             VAE decoder on the end of prompt 0, f32, not clamped
    image.u8 [3,3,128,128]          the three decoded pictures, round(clamp(x/2 + 0.5) * 255)
    encoded [3,4,16,16]             posterior means (unscaled) of those u8 pictures mapped to -1..1
mini.json: prompts, seeds, versions and SHA-256 of the weight files, so that a stale golden is noticed.
"""
import hashlib
import json
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
import torch  # noqa: E402
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, UNet2DConditionModel  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTextModel, CLIPTokenizer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.normpath(os.path.join(HERE, "..", "..", "model-loader", "mini", "model"))
PROMPTS = [
    ("a sunset over desert dunes with distant mountains", 7),
    ("green meadow at noon with hills and trees, low horizon", 8),
    ("night snow under aurora, a city skyline", 9),
]
STEPS, GUIDANCE, KEPT_STEPS, UNET_TIMESTEPS = 25, 5.0, (0, 1, 12, 24), (999, 501, 201, 21, 1)


class Mini:
    def __init__(self, folder):
        def load(cls, part):
            return cls.from_pretrained(folder, subfolder=part, torch_dtype=torch.float32).eval()

        self.unet, self.vae = load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae")
        self.text = load(CLIPTextModel, "text_encoder")
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
        self.ddim = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
        self.euler = EulerDiscreteScheduler.from_config(self.ddim.config)

    def tokens(self, prompts):
        return self.tokenizer(
            prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")["input_ids"]

    def guided(self, x, t, cond, uncond):
        both = self.unet(torch.cat([x, x]), t, torch.cat([uncond, cond])).sample
        without, with_prompt = both.chunk(2)
        return without + GUIDANCE * (with_prompt - without)

    def run(self, scheduler, x, cond, uncond):
        """Latents after every step."""
        scheduler.set_timesteps(STEPS)
        x, states = x * scheduler.init_noise_sigma, []
        for t in scheduler.timesteps:
            noise = self.guided(scheduler.scale_model_input(x, t), t, cond, uncond)
            x = scheduler.step(noise, t, x).prev_sample
            states.append(x)
        return states

    def decode(self, latents):
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample


@torch.no_grad()
def expected(mini):
    out, prompts = {}, [p for p, _ in PROMPTS]
    ids = mini.tokens(prompts + [""])
    text = mini.text(ids).last_hidden_state
    cond, uncond = text[:3], text[3:].expand(3, -1, -1)
    start = torch.cat([torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(s)) for _, s in PROMPTS])
    out.update(ids=ids.to(torch.int32), text=text, start=start)
    for t in UNET_TIMESTEPS:
        both = torch.cat([uncond[:1], cond[:1]])
        out[f"unet.t{t}"] = mini.unet(torch.cat([start[:1]] * 2), t, both).sample
    states = mini.run(mini.ddim, start, cond, uncond)
    out["ddim25.timesteps"] = mini.ddim.timesteps.to(torch.int32)
    out.update({f"ddim25.after{i}": states[i] for i in KEPT_STEPS})
    out["euler25.end"] = mini.run(mini.euler, start[:1], cond[:1], uncond[:1])[-1][0]
    decoded = mini.decode(states[-1])
    images = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    out.update({"decoded": decoded[0], "image.u8": images})
    out["encoded"] = mini.vae.encode(images.float() / 127.5 - 1).latent_dist.mean
    return out


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    torch.set_num_threads(1)
    model = sys.argv[1] if len(sys.argv) > 1 else MODEL
    folder = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "mini")
    tensors = expected(Mini(model))
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in tensors.items()}, folder + "/mini.safetensors")
    files = ("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors",
             "text_encoder/model.safetensors")
    note = {
        "model": "model-loader/mini/model", "sha256": {f: digest(os.path.join(model, f)) for f in files},
        "prompts": [{"prompt": p, "seed": s} for p, s in PROMPTS], "steps": STEPS, "guidance_scale": GUIDANCE,
        "torch": torch.__version__,
    }
    with open(folder + "/mini.json", "w") as file:
        json.dump(note, file, indent=1)
        file.write("\n")
    os.chmod(folder + "/mini.safetensors", 0o644)
    print({k: tuple(v.shape) for k, v in tensors.items()})


if __name__ == "__main__":
    main()
