"""Train UNet and text encoder on captioned latents; horizon height follows the prompt (level when it says nothing).

usage: train_unet.py DATA_DIR OUT.pt HH:MM --held-out DIR [--model DIR] [--fresh] [--batch N] [--rate LR]
Starts from the model directory's weights, with --fresh from zero (then --rate 6e-4). Epsilon prediction, stratified
timesteps, partial min-SNR-5 weighting, some captions empty (for guidance).
"""
import argparse
import os

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from data import Average, Clock, Views, cosine, save_atomically
from nets import SCALE, make_text_encoder, make_unet
from world.captions import LEVEL, STEEP, caption, sun_is_visible

EMPTY_CAPTIONS, SNR_LIMIT = .10, 5.0
# how much more often views come whose pitch the caption tells but which still show the horizon
PITCHED_WEIGHT = 2.5
ALPHAS = torch.cumprod(1 - torch.linspace(.00085 ** .5, .012 ** .5, 1000) ** 2, 0)


class Denoiser(torch.nn.Module):
    """UNet and text encoder together, so that one moving average covers both."""

    def __init__(self, model, fresh=False):
        super().__init__()
        self.tokenizer = CLIPTokenizer.from_pretrained(model, subfolder="tokenizer")
        if fresh:
            torch.manual_seed(0)
            self.unet, self.text = make_unet(), make_text_encoder(self.tokenizer)
        else:
            self.text = CLIPTextModel.from_pretrained(model, subfolder="text_encoder", torch_dtype=torch.float32)
            self.unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet", torch_dtype=torch.float32)
        self.unet.to(memory_format=torch.channels_last)

    def tokens(self, captions):
        ids = self.tokenizer(captions, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        return ids["input_ids"]

    def forward(self, noisy, timesteps, tokens):
        return self.unet(noisy, timesteps, self.text(tokens).last_hidden_state).sample


def add_noise(clean, noise, timesteps):
    alpha = ALPHAS[timesteps].view(-1, 1, 1, 1)
    return (alpha.sqrt() * clean + (1 - alpha).sqrt() * noise).contiguous(memory_format=torch.channels_last)


def describe(views, index, rng):
    environment, camera = views.notes[index]
    return caption(environment, rng, camera[1], sun_is_visible(environment, *camera))


class HeldOut:
    """A fixed set of noisy latents with captions; its loss is comparable between runs."""

    def __init__(self, views, model):
        rng = np.random.RandomState(9)
        generator = torch.Generator().manual_seed(3)
        count = min(256, len(views))
        self.latents = views.batch(range(count), [False] * count)[1] * SCALE
        self.noise = torch.randn(self.latents.shape, generator=generator)
        self.timesteps = torch.randint(0, 1000, (count,), generator=generator)
        self.tokens = model.tokens([describe(views, i, rng) for i in range(count)])

    @torch.no_grad()
    def loss(self, model):
        losses = []
        for i in range(0, len(self.latents), 64):
            part = slice(i, i + 64)
            noisy = add_noise(self.latents[part], self.noise[part], self.timesteps[part])
            made = model(noisy, self.timesteps[part], self.tokens[part])
            losses.append((made - self.noise[part]).pow(2).mean((1, 2, 3)))
        return float(torch.cat(losses).mean())


def chances(views):
    pitch = np.abs(views.pitches)
    weights = np.where((pitch > LEVEL) & (pitch <= STEEP), PITCHED_WEIGHT, 1.0)
    return weights / weights.sum()


def training_step(model, views, chance, rng, batch):
    """(weighted loss, plain loss) of one random batch."""
    indices = rng.choice(len(views), batch, p=chance)
    clean = torch.from_numpy(np.stack([views.latent(i, rng.rand() < .5) for i in indices])).float() * SCALE
    captions = ["" if rng.rand() < EMPTY_CAPTIONS else describe(views, i, rng) for i in indices]
    timesteps = (torch.rand(1) + torch.arange(batch) / batch).remainder(1).mul(1000).long()
    noise = torch.randn_like(clean)
    made = model(add_noise(clean, noise, timesteps), timesteps, model.tokens(captions))
    losses = (made - noise).pow(2).mean((1, 2, 3))
    snr = ALPHAS[timesteps] / (1 - ALPHAS[timesteps])
    weights = .25 + .75 * snr.clamp(max=SNR_LIMIT) / snr
    return (losses * weights).mean(), float(losses.mean().detach())


def train(args, model, views, held_out, judge):
    clock, average = Clock(args.end), Average(model, .998)
    optimiser = torch.optim.AdamW([
        dict(params=list(model.unet.parameters()), weight_decay=.01),
        dict(params=list(model.text.parameters()), weight_decay=0.0)], lr=args.rate, betas=(.9, .99))
    rng, chance, step, running = np.random.RandomState(1001), chances(views), 0, None
    torch.manual_seed(1001)
    while clock.progress() < 1:
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 150) * cosine(clock.progress()) + 2e-6
        loss, plain = training_step(model, views, chance, rng, args.batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.update()
        step += 1
        running = plain if running is None else .98 * running + .02 * plain
        if step % 100 == 0:
            print(step, f"{clock.elapsed():.0f} s loss {running:.4f}", flush=True)
        if step % 500 == 0:
            judge.load_state_dict(average.state)
            print(step, f"held out {held_out.loss(judge):.4f}", flush=True)
            save_atomically(average.state, args.out)
    save_atomically(average.state, args.out)
    print("done", step)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("end")
    parser.add_argument("--model", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--held-out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, judge = Denoiser(args.model, args.fresh), Denoiser(args.model, args.fresh).eval()
    views = Views(args.data)
    held_out = HeldOut(Views(args.held_out), model)
    print(f"views {len(views)} held out before {held_out.loss(judge):.4f}", flush=True)
    train(args, model, views, held_out, judge)


if __name__ == "__main__":
    main()
