"""Sharpen the VAE decoder; the encoder stays as it is, so every latent stays valid.

usage: finetune_decoder.py DATA_DIR OUT.pt HH:MM --held-out DIR [--model DIR] [--start STATE.pt]
Whole 128x128 pictures (crops would change the GroupNorm statistics), latent noise augmentation, detail-weighted L1,
gradient loss and a hinge patch discriminator with feature matching. The discriminator's pull on the picture is kept at a
fixed share of the reconstruction's. Stops at HH:MM UTC.
"""
import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from data import Average, Clock, Views, cosine, save_atomically
from nets import SCALE

BATCH = 3
DECODER_RATE, CRITIC_RATE = 4e-4, 4e-4
ADVERSARY_SHARE = .4        # size of the critic's gradient on the picture relative to the reconstruction's
LATENT_NOISE = .10           # largest standard deviation of the added latent noise, in scaled latents


class Critic(nn.Module):
    """Patch discriminator: three strided convolutions, the last two normalised."""

    def __init__(self, widths=(3, 40, 80, 112)):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in zip(widths, widths[1:]))
        self.norms = nn.ModuleList([nn.Identity()] + [nn.GroupNorm(8, b) for b in widths[2:]])
        self.head = nn.Conv2d(widths[-1], 1, 3, 1, 1)

    def forward(self, x):
        features = []
        for layer, norm in zip(self.layers, self.norms):
            x = F.leaky_relu(norm(layer(x)), .2)
            features.append(x)
        return self.head(x), features


def gradient_loss(difference):
    vertical = (difference[:, :, 1:] - difference[:, :, :-1]).abs().mean()
    return vertical + (difference[..., 1:] - difference[..., :-1]).abs().mean()


def detail_weight(truth):
    """1 on smooth areas, up to 3 where the true picture has edges, mean about 1."""
    grey = truth.mean(1, keepdim=True)
    dx = F.pad((grey[..., 1:] - grey[..., :-1]).abs(), (0, 1))
    dy = F.pad((grey[:, :, 1:] - grey[:, :, :-1]).abs(), (0, 0, 0, 1))
    edges = F.max_pool2d(dx + dy, 3, 1, 1)
    weight = 1 + 2 * (edges / .25).clamp(max=1)
    return weight / weight.mean((1, 2, 3), keepdim=True)


def border_loss(error):
    return (error[:, :, :2].mean() + error[:, :, -2:].mean() + error[..., :2].mean() + error[..., -2:].mean()) / 4


def reconstruction_loss(made, truth):
    difference = made - truth
    error = difference.abs()
    low = (F.avg_pool2d(made, 8) - F.avg_pool2d(truth, 8)).abs().mean()
    return (.6 * (error * detail_weight(truth)).mean() + .2 * border_loss(error) + .5 * low
            + .35 * gradient_loss(difference)), float(error.mean().detach())


@torch.no_grad()
def measure(vae, pictures, latents):
    """(mean PSNR in dB, sharpness mean |dx| in 0..1) on held-out views."""
    made = torch.cat([vae.decode(latents[i:i + 8]).sample for i in range(0, len(latents), 8)]).clamp(-1, 1)
    error = ((made - pictures) / 2).pow(2).mean((1, 2, 3))
    return float(-10 * torch.log10(error).mean()), float((made[..., 1:] - made[..., :-1]).abs().mean() / 2)


class Trainer:
    def __init__(self, args):
        torch.manual_seed(5)
        self.rng = np.random.RandomState(556)
        self.views = Views(args.data)
        self.clock = Clock(args.end)
        self.vae = AutoencoderKL.from_pretrained(args.model, subfolder="vae", torch_dtype=torch.float32)
        if args.start:
            self.vae.load_state_dict(torch.load(args.start))
        self.vae.to(memory_format=torch.channels_last).requires_grad_(False)
        parts = (self.vae.decoder, self.vae.post_quant_conv)
        self.weights = [p.requires_grad_(True) for part in parts for p in part.parameters()]
        self.critic = Critic().to(memory_format=torch.channels_last)
        self.vae_step = torch.optim.AdamW(self.weights, betas=(.5, .95), weight_decay=0)
        self.critic_step = torch.optim.AdamW(self.critic.parameters(), betas=(.5, .95), weight_decay=0)
        self.average = Average(self.vae, .998)
        steep = np.abs(self.views.pitches) > 40
        self.chance = np.where(steep, .35, 1.0)
        self.chance /= self.chance.sum()

    def set_rates(self, step):
        rate = cosine(self.clock.progress()) + .02
        for group in self.vae_step.param_groups:
            group["lr"] = DECODER_RATE * rate * min(1, (step + 1) / 200)
        for group in self.critic_step.param_groups:
            group["lr"] = CRITIC_RATE * rate * min(1, (step + 1) / 50)

    def train_critic(self, made, truth):
        on_truth, _ = self.critic(truth)
        on_made, _ = self.critic(made)
        loss = F.relu(1 - on_truth).mean() + F.relu(1 + on_made).mean()
        self.critic_step.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_step.step()
        return float(loss.detach())

    def picture_gradient(self, made, truth, step):
        """(gradient of the whole loss with respect to the picture, L1, feature matching)"""
        self.critic.requires_grad_(False)
        picture = made.detach().requires_grad_(True)
        verdict, seen = self.critic(picture)
        with torch.no_grad():
            _, wanted = self.critic(truth)
        matching = sum((a - b).abs().mean() / (b.abs().mean() + 1e-3) for a, b in zip(seen, wanted)) / 3
        loss, l1 = reconstruction_loss(picture, truth)
        towards_truth, = torch.autograd.grad(loss + .15 * matching, picture, retain_graph=True)
        towards_critic, = torch.autograd.grad(-verdict.mean(), picture)
        self.critic.requires_grad_(True)
        share = ADVERSARY_SHARE * min(1, max(0, (step - 300) / 500))
        share = share * towards_truth.norm() / (towards_critic.norm() + 1e-8)
        return towards_truth + share * towards_critic, l1, float(matching.detach())

    def step(self, step):
        self.set_rates(step)
        chosen = self.rng.choice(len(self.views), BATCH, p=self.chance)
        truth, latents = self.views.batch(chosen, self.rng.randint(0, 2, BATCH))
        strength = LATENT_NOISE * torch.rand(BATCH, 1, 1, 1) ** 1.5
        latents = latents + torch.randn_like(latents) / SCALE * strength
        with torch.autocast("cpu", torch.bfloat16):
            made = self.vae.decode(latents).sample
        made = made.float()
        critic_loss = self.train_critic(made.detach(), truth)
        gradient, l1, matching = self.picture_gradient(made, truth, step)
        self.vae_step.zero_grad(set_to_none=True)
        made.backward(gradient)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.vae_step.step()
        self.average.update()
        return np.array([l1, matching, critic_loss])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("end")
    parser.add_argument("--model", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    parser.add_argument("--start", help="state to start from instead of the model's own")
    parser.add_argument("--held-out", required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trainer = Trainer(args)
    held_out = Views(args.held_out)
    test = held_out.batch(range(64), [False] * 64)
    judge = AutoencoderKL.from_pretrained(args.model, subfolder="vae", torch_dtype=torch.float32).eval()
    print("before: psnr %.2f sharpness %.5f" % measure(judge, *test), flush=True)
    print("truth sharpness %.5f" % float((test[0][..., 1:] - test[0][..., :-1]).abs().mean() / 2), flush=True)
    step, running = 0, None
    while trainer.clock.progress() < 1:
        numbers = trainer.step(step)
        step += 1
        running = numbers if running is None else .97 * running + .03 * numbers
        if step % 100 == 0:
            print(step, f"{trainer.clock.elapsed():.0f} s", "l1 %.4f matching %.4f critic %.3f" % tuple(running), flush=True)
        if step % 500 == 0:
            judge.load_state_dict(trainer.average.state)
            print(step, "held out: psnr %.2f sharpness %.5f" % measure(judge, *test), flush=True)
            save_atomically(trainer.average.state, args.out)
    save_atomically(trainer.average.state, args.out)
    print("done", step)


if __name__ == "__main__":
    main()
