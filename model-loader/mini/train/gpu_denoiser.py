"""Train UNet and text encoder on a GPU. usage: gpu_denoiser.py DATA_DIR OUT.pt SECONDS --vae STATE.pt [--views N]

With --editor BASE.pt: the InstructPix2Pix form, from a trained base. Its first convolution takes the latents of the picture
to be edited (posterior mean, NOT scaled) beside the noisy ones, its text is an instruction; text, picture or both are
dropped in 5 % of the samples each, for three-way guidance (Brooks et al. 2023).
"""
import argparse
import time

import torch

from data import Average, cosine, save_atomically
from gpu_data import Draw, Pairs, partner
from nets import SCALE, make_vae
from train_unet import ALPHAS, SNR_LIMIT, PITCHED_WEIGHT, Denoiser

BATCH, HELD_OUT, RATE, EMPTY_CAPTIONS, DROP = 1024, 512, 1e-3, .10, .05


@torch.no_grad()
def encode_all(pairs, state, device):
    """Unscaled posterior means (2, N, 4, 16, 16) f16: as rendered, and mirrored."""
    vae = make_vae().to(device, memory_format=torch.channels_last).eval()
    vae.load_state_dict(torch.load(state, map_location=device))
    latents = torch.empty(2, len(pairs), 4, 16, 16, dtype=torch.float16, device=device)
    for start in range(0, len(pairs), 256):
        indices = torch.arange(start, min(start + 256, len(pairs)), device=device)
        for mirrored in (0, 1):
            flags = torch.full((len(indices),), bool(mirrored), device=device)
            latents[mirrored, indices] = vae.encode(pairs.batch(indices, flags)).latent_dist.mean.half()
    return latents


class Trainer:
    def __init__(self, args):
        torch.manual_seed(1)
        self.device = device = "cuda" if torch.cuda.is_available() else "cpu"
        pairs = Pairs(args.data, args.views, device)
        pairs.wait(args.views)
        self.latents = encode_all(pairs, args.vae, device)
        self.editor, self.batch = args.editor is not None, args.batch
        self.tokens = pairs.tokens("i" if self.editor else "c")
        chances = pairs.chances(pitched=PITCHED_WEIGHT)
        chances[:HELD_OUT] = 0
        self.draw = Draw(chances, args.batch)
        self.model = Denoiser(args.model, fresh=True)
        if self.editor:
            self.model.load_state_dict({k: v.float() for k, v in torch.load(args.editor).items()})
            widen(self.model.unet)
        self.model.to(device)
        if args.compile:
            self.model.unet.compile()
        self.empty = self.model.tokens([""]).to(device, torch.int32)
        self.alphas = ALPHAS.to(device)
        self.average = Average(self.model, .9995 if not self.editor else .999)
        self.rate = RATE * (.5 if self.editor else 1)
        self.optimiser = torch.optim.AdamW([
            dict(params=list(self.model.unet.parameters()), weight_decay=.01),
            dict(params=list(self.model.text.parameters()), weight_decay=0.0)], lr=self.rate, betas=(.9, .99),
            fused=device == "cuda")
        self.start, self.seconds = time.time(), args.seconds

    def progress(self):
        return (time.time() - self.start) / self.seconds

    def sample(self, indices):
        """Clean scaled latents, their pair's unscaled latents, tokens."""
        mirrored = (torch.rand(len(indices), device=self.device) < .5).long()
        wanted = partner(indices) if self.editor else indices
        clean = self.latents[mirrored, wanted].float() * SCALE
        variant = torch.randint(0, self.tokens.shape[1], (len(indices),), device=self.device)
        tokens, source = self.tokens[indices, variant], self.latents[mirrored, indices].float()
        draw = torch.rand(len(indices), 1, device=self.device)
        dropped = (draw < 2 * DROP) if self.editor else (draw < EMPTY_CAPTIONS)
        tokens = torch.where(dropped, self.empty, tokens)
        if self.editor:        # draw: below 5 % text only, to 10 % both, to 15 % picture only
            without = (draw >= DROP) & (draw < 3 * DROP)
            source = torch.where(without[:, :, None, None], torch.zeros_like(source), source)
        return clean, source, tokens

    def predict(self, clean, source, tokens, noise, timesteps):
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        if self.editor:
            noisy = torch.cat([noisy, source], 1)
        with torch.autocast(self.device, torch.bfloat16):
            return self.model(noisy.contiguous(memory_format=torch.channels_last), timesteps, tokens.long()).float()

    def step(self, step):
        clean, source, tokens = self.sample(self.draw.next())
        count = len(clean)
        timesteps = (torch.rand(1, device=self.device) + torch.arange(count, device=self.device) / count)
        timesteps = timesteps.remainder(1).mul(1000).long()
        noise = torch.randn_like(clean)
        losses = (self.predict(clean, source, tokens, noise, timesteps) - noise).pow(2).mean((1, 2, 3))
        snr = self.alphas[timesteps] / (1 - self.alphas[timesteps])
        weights = .25 + .75 * snr.clamp(max=SNR_LIMIT) / snr
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * min(1, (step + 1) / 300) * cosine(self.progress()) + 2e-6
        self.optimiser.zero_grad(set_to_none=True)
        (losses * weights).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update()
        return losses.detach().mean()

    @torch.no_grad()
    def held_out(self):
        """eps-MSE of views nobody trains on, with the averaged weights."""
        now = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.model.load_state_dict(self.average.state)
        generator = torch.Generator(self.device).manual_seed(3)
        indices = torch.arange(HELD_OUT, device=self.device)
        wanted = partner(indices) if self.editor else indices
        clean, source = self.latents[0, wanted].float() * SCALE, self.latents[0, indices].float()
        noise = torch.randn(clean.shape, generator=generator, device=self.device)
        timesteps = torch.randint(0, 1000, (HELD_OUT,), generator=generator, device=self.device)
        made = self.predict(clean, source, self.tokens[indices, 0], noise, timesteps)
        self.model.load_state_dict(now)
        return float((made - noise).pow(2).mean())


def widen(unet):
    """Four more input channels, which begin without effect."""
    old = unet.conv_in
    new = torch.nn.Conv2d(8, old.out_channels, 3, 1, 1)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, :4] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(memory_format=torch.channels_last)
    unet.register_to_config(in_channels=8)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--vae", required=True)
    parser.add_argument("--views", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--editor", metavar="BASE.pt")
    parser.add_argument("--model", default=__file__.rsplit("/", 1)[0] + "/../model")
    parser.add_argument("--compile", action="store_true", help="compile the UNet first (about a minute)")
    args = parser.parse_args()
    trainer, step = Trainer(args), 0
    while trainer.progress() < 1:
        loss = trainer.step(step)
        step += 1
        if step % 250 == 0 or step in (5, 20):
            print(step, f"{time.time() - trainer.start:.0f} s loss {float(loss):.4f}", flush=True)
        if step % 2000 == 0:
            print(step, f"held out {trainer.held_out():.4f}", flush=True)
    print(f"held out {trainer.held_out():.4f}", flush=True)
    save_atomically({k: v.half().cpu() if v.is_floating_point() else v.cpu() for k, v in trainer.average.state.items()}, args.out)
    print("done", step)


if __name__ == "__main__":
    main()
