"""Loading the model directory and sampling from it with DDIM and guidance."""
import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

BATCH = 20


class Model:
    def __init__(self, folder):
        def load(cls, part):
            return cls.from_pretrained(folder, subfolder=part, torch_dtype=torch.float32).eval()

        self.unet, self.vae = load(UNet2DConditionModel, "unet"), load(AutoencoderKL, "vae")
        self.text = load(CLIPTextModel, "text_encoder")
        self.tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
        self.scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
        self.scale = self.vae.config.scaling_factor

    @torch.no_grad()
    def embed(self, prompts):
        ids = self.tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        return self.text(ids["input_ids"]).last_hidden_state

    @torch.no_grad()
    def noise(self, x, t, cond, uncond, guidance):
        both = self.unet(torch.cat([x, x]), t, torch.cat([uncond, cond])).sample
        without, with_prompt = both.chunk(2)
        return without + guidance * (with_prompt - without)

    @torch.no_grad()
    def decode(self, latents):
        """Scaled latents -> pictures in 0..1."""
        parts = [self.vae.decode(latents[i:i + 8] / self.scale).sample for i in range(0, len(latents), 8)]
        return torch.cat(parts).clamp(-1, 1) * .5 + .5

    @torch.no_grad()
    def encode(self, pictures):
        """Pictures in 0..1 -> scaled latents."""
        parts = [self.vae.encode(pictures[i:i + 8] * 2 - 1).latent_dist.mean for i in range(0, len(pictures), 8)]
        return torch.cat(parts) * self.scale

    @torch.no_grad()
    def sample(self, prompts, seeds, steps=25, guidance=5.):
        """Pictures in 0..1, one per prompt and seed."""
        out = []
        for i in range(0, len(prompts), BATCH):
            some = prompts[i:i + BATCH]
            cond, uncond = self.embed(some), self.embed([""] * len(some))
            generators = [torch.Generator().manual_seed(int(s)) for s in seeds[i:i + BATCH]]
            x = torch.cat([torch.randn(1, 4, 16, 16, generator=g) for g in generators])
            self.scheduler.set_timesteps(steps)
            for t in self.scheduler.timesteps:
                x = self.scheduler.step(self.noise(x, t, cond, uncond, guidance), t, x).prev_sample
            out.append(self.decode(x))
        return torch.cat(out)


def to_tensor(pictures):
    """List of HxWx3 floats in 0..1 -> N,3,H,W."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()


def contact_sheet(pictures, columns):
    """N,3,H,W in 0..1 -> one uint8 picture."""
    a = (pictures.permute(0, 2, 3, 1).numpy() * 255 + .5).astype(np.uint8)
    rows = [np.concatenate(list(a[i:i + columns]), 1) for i in range(0, len(a) - columns + 1, columns)]
    return np.concatenate(rows, 0)
