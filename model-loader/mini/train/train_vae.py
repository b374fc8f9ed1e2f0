"""Train the autoencoder from zero. usage: train_vae.py DATA_DIR OUT.pt HH:MM

Crops of 64x64 for most of the time, whole pictures at the end; L1 + L2 + gradient loss and a weak KL term.
Stops at HH:MM UTC.
"""
import argparse
import glob

import numpy as np
import torch
import torch.nn.functional as F

from data import Average, Clock, cosine, save_atomically
from encode_views import to_model_range
from finetune_decoder import gradient_loss
from nets import make_vae, standardise_latents, start_as_pooling

BATCH, RATE, KL_WEIGHT, WHOLE_FROM = 16, 2e-3, 3e-5, .85


def random_crops(chunks, rng, whole):
    crops = []
    for _ in range(BATCH // 4 if whole else BATCH):
        chunk = chunks[rng.randint(len(chunks))]
        picture = chunk[rng.randint(len(chunk))]
        if not whole:
            y, x = rng.randint(0, 65, 2)
            picture = picture[y:y + 64, x:x + 64]
        crops.append(picture[:, ::-1] if rng.rand() < .5 else picture)
    return to_model_range(np.stack(crops))


def loss_of(vae, truth):
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(truth).latent_dist
        mean = posterior.mean.float()
        latents = mean + posterior.std.float() * torch.randn_like(mean)
        made = vae.decode(latents).sample
    made = made.float()
    kl = .5 * (mean ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    error = made - truth
    edges = gradient_loss(error) + gradient_loss(F.avg_pool2d(error, 2))
    return error.abs().mean() + .5 * error.pow(2).mean() + .5 * edges + KL_WEIGHT * kl


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("end")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    vae = start_as_pooling(make_vae()).to(memory_format=torch.channels_last)
    chunks = [np.load(p, mmap_mode="r") for p in sorted(glob.glob(args.data + "/v_*.npy"))]
    clock, average, rng, step = Clock(args.end), Average(vae, .995), np.random.RandomState(77), 0
    optimiser = torch.optim.AdamW(vae.parameters(), betas=(.9, .98), weight_decay=1e-4)
    while clock.progress() < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 60) * cosine(clock.progress()) + 1e-5
        loss = loss_of(vae, random_crops(chunks, rng, clock.progress() > WHOLE_FROM))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        average.update()
        step += 1
        if step % 100 == 0:
            print(step, f"{clock.elapsed():.0f} s loss {float(loss.detach()):.4f}", flush=True)
    vae.load_state_dict(average.state)
    standardise_latents(vae, to_model_range(np.concatenate([c[:40] for c in chunks[:20]])))
    save_atomically(vae.state_dict(), args.out)


if __name__ == "__main__":
    main()
