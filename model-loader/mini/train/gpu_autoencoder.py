"""Train the autoencoder from zero on a GPU. usage: gpu_autoencoder.py DATA_DIR OUT.pt SECONDS [--views N]

Whole pictures. First encoder and decoder together (L1, gradients, a weak KL term), then the encoder stays and the decoder
learns from noisy latents, against a patch discriminator. The data may still be being rendered.
"""
import argparse
import time

import torch

from data import Average, cosine, save_atomically
from finetune_decoder import Critic, gradient_loss, measure, reconstruction_loss
from gpu_data import Draw, Pairs
from nets import SCALE, make_vae, standardise_latents, start_as_pooling

BATCH, HELD_OUT = 64, 512
JOINT_SHARE = .68           # of the time, encoder and decoder together
JOINT_RATE, DECODER_RATE, CRITIC_RATE = 2e-3, 8e-4, 4e-4
KL_WEIGHT = 1e-4
ADVERSARY_SHARE = .4        # size of the critic's gradient on the picture relative to the reconstruction's
LATENT_NOISE = .10          # largest standard deviation of the added latent noise, in scaled latents


class Trainer:
    def __init__(self, args):
        torch.manual_seed(0)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.seconds, self.start, self.batch = args.seconds, time.time(), args.batch
        self.pairs = Pairs(args.data, args.views, self.device)
        self.pairs.wait(2 * HELD_OUT)
        self.vae = start_as_pooling(make_vae()).to(self.device, memory_format=torch.channels_last)
        self.critic = Critic().to(self.device, memory_format=torch.channels_last)
        if args.compile:
            for part in (self.vae.encoder, self.vae.decoder, self.critic):
                part.compile()
        self.joint = torch.optim.AdamW(self.vae.parameters(), betas=(.9, .98), weight_decay=1e-4)
        parts = (self.vae.decoder, self.vae.post_quant_conv)
        self.weights = [p for part in parts for p in part.parameters()]
        self.decoder = torch.optim.AdamW(self.weights, betas=(.5, .95), weight_decay=0)
        self.critic_step = torch.optim.AdamW(self.critic.parameters(), betas=(.5, .95), weight_decay=0)
        self.average, self.draw, self.drawn_from = Average(self.vae, .998), None, 0
        self.frozen = False

    def progress(self):
        return (time.time() - self.start) / self.seconds

    def pictures(self):
        self.pairs.refresh()
        if self.drawn_from != len(self.pairs):
            self.drawn_from = len(self.pairs)
            chances = self.pairs.chances(steep=.35)
            chances[:HELD_OUT] = 0
            self.draw = Draw(chances, self.batch)
        indices = self.draw.next()
        return self.pairs.batch(indices, torch.rand(len(indices), device=self.device) < .5)

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16)

    def joint_step(self, step, truth):
        rate = JOINT_RATE * min(1, (step + 1) / 200) * cosine(self.progress() / JOINT_SHARE) + 1e-5
        for group in self.joint.param_groups:
            group["lr"] = rate
        with self.autocast():
            posterior = self.vae.encode(truth).latent_dist
            mean = posterior.mean.float()
            made = self.vae.decode(mean + posterior.std.float() * torch.randn_like(mean)).sample
        made = made.float()
        kl = .5 * (mean ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        error = made - truth
        loss = reconstruction_loss(made, truth)[0] + .3 * error.pow(2).mean() + .3 * gradient_loss(error) + KL_WEIGHT * kl
        self.joint.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.vae.parameters(), 1.0)
        self.joint.step()
        return loss.detach()

    def freeze(self):
        """Latents are final from here on: mean 0 and deviation 1 after scaling."""
        self.vae.load_state_dict(self.average.state)
        none = torch.zeros(2000, dtype=torch.bool, device=self.device)
        chosen = torch.randperm(len(self.pairs), device=self.device)[:2000]
        standardise_latents(self.vae, self.pairs.batch(chosen, none[:len(chosen)]))
        self.vae.encoder.requires_grad_(False)
        self.vae.quant_conv.requires_grad_(False)
        self.average, self.frozen, self.since = Average(self.vae, .998), True, 0

    def picture_gradient(self, made, truth):
        self.critic.requires_grad_(False)
        picture = made.detach().requires_grad_(True)
        verdict, seen = self.critic(picture)
        with torch.no_grad():
            _, wanted = self.critic(truth)
        matching = sum((a - b).abs().mean() / (b.abs().mean() + 1e-3) for a, b in zip(seen, wanted)) / 3
        loss, _ = reconstruction_loss(picture, truth)
        towards_truth, = torch.autograd.grad(loss + .15 * matching, picture, retain_graph=True)
        towards_critic, = torch.autograd.grad(-verdict.mean(), picture)
        self.critic.requires_grad_(True)
        share = ADVERSARY_SHARE * min(1, max(0, (self.since - 200) / 800))
        return towards_truth + share * towards_truth.norm() / (towards_critic.norm() + 1e-12) * towards_critic, loss

    def decoder_step(self, truth):
        rate = cosine((self.progress() - JOINT_SHARE) / (1 - JOINT_SHARE)) + .01
        for optimiser, top in ((self.decoder, DECODER_RATE), (self.critic_step, CRITIC_RATE)):
            for group in optimiser.param_groups:
                group["lr"] = top * rate * min(1, (self.since + 1) / 100)
        with torch.no_grad(), self.autocast():
            latents = self.vae.encode(truth).latent_dist.mean.float()
        strength = LATENT_NOISE * torch.rand(len(latents), 1, 1, 1, device=self.device) ** 1.5
        latents = latents + torch.randn_like(latents) / SCALE * strength
        with self.autocast():
            made = self.vae.decode(latents).sample
        made = made.float()
        on_truth, _ = self.critic(truth)
        on_made, _ = self.critic(made.detach())
        verdict = torch.relu(1 - on_truth).mean() + torch.relu(1 + on_made).mean()
        self.critic_step.zero_grad(set_to_none=True)
        verdict.backward()
        self.critic_step.step()
        gradient, loss = self.picture_gradient(made, truth)
        self.decoder.zero_grad(set_to_none=True)
        made.backward(gradient)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.decoder.step()
        self.since += 1
        return loss.detach()

    def step(self, step):
        truth = self.pictures()
        if not self.frozen and self.progress() > JOINT_SHARE:
            self.freeze()
        loss = self.decoder_step(truth) if self.frozen else self.joint_step(step, truth)
        self.average.update()
        return loss

    @torch.no_grad()
    def measure(self):
        """PSNR in dB and sharpness of held-out views, and the truth's sharpness."""
        judge = make_vae().to(self.device)
        judge.load_state_dict(self.average.state)
        indices = torch.arange(128, device=self.device)
        pictures = self.pairs.batch(indices, torch.zeros(128, dtype=torch.bool, device=self.device))
        latents = judge.encode(pictures).latent_dist.mean
        truth = float((pictures[..., 1:] - pictures[..., :-1]).abs().mean() / 2)
        return (*measure(judge, pictures, latents), truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--views", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--compile", action="store_true", help="compile the networks first (about a minute)")
    args = parser.parse_args()
    trainer, step = Trainer(args), 0
    while trainer.progress() < 1:
        loss = trainer.step(step)
        step += 1
        if step % 250 == 0 or step in (5, 20):
            print(step, f"{time.time() - trainer.start:.0f} s views {len(trainer.pairs)} loss {float(loss):.4f}", flush=True)
        if step % 2000 == 0:
            print(step, "held out: psnr %.2f sharpness %.5f of %.5f" % trainer.measure(), flush=True)
            save_atomically(trainer.average.state, args.out)
    print("held out: psnr %.2f sharpness %.5f of %.5f" % trainer.measure(), flush=True)
    save_atomically({k: v.half().cpu() for k, v in trainer.average.state.items()}, args.out)
    print("done", step)


if __name__ == "__main__":
    main()
