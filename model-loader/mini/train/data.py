"""The rendered views (v_*.npy), their latents (z_*.npy) and what each view shows (m_*.json)."""
import datetime
import glob
import json
import math
import os

import numpy as np
import torch


class Views:
    """Memory-mapped chunks; a view is addressed by one integer."""

    def __init__(self, folder):
        self.images, self.latents, self.notes = [], [], []
        for path in sorted(glob.glob(folder + "/z_*.npy")):
            if path.endswith(".tmp.npy"):
                continue
            self.latents.append(np.load(path, mmap_mode="r"))
            self.images.append(np.load(path.replace("/z_", "/v_"), mmap_mode="r"))
            with open(path.replace("/z_", "/m_").replace(".npy", ".json")) as file:
                self.notes += json.load(file)
        if not self.images:
            raise SystemExit(f"no encoded views in {folder}: run render_views.py and encode_views.py first")
        self.per_chunk = len(self.images[0])
        self.pitches = np.array([camera[1] for _, camera in self.notes])

    def __len__(self):
        return len(self.notes)

    def image(self, index, mirrored):
        view = self.images[index // self.per_chunk][index % self.per_chunk]
        return np.ascontiguousarray(view[:, ::-1] if mirrored else view)

    def latent(self, index, mirrored):
        return np.ascontiguousarray(self.latents[index // self.per_chunk][int(mirrored), index % self.per_chunk])

    def batch(self, indices, mirrored):
        """Pictures in -1..1 and unscaled latents."""
        images = np.stack([self.image(i, m) for i, m in zip(indices, mirrored)])
        latents = np.stack([self.latent(i, m) for i, m in zip(indices, mirrored)])
        pictures = torch.from_numpy(images).permute(0, 3, 1, 2)
        pictures = pictures.contiguous(memory_format=torch.channels_last).float() / 127.5 - 1
        return pictures, torch.from_numpy(latents).float()


class Clock:
    """Training is limited by wall time: progress runs from 0 to 1 between now and HH:MM UTC."""

    def __init__(self, end):
        now = datetime.datetime.now(datetime.timezone.utc)
        hour, minute = map(int, end.split(":"))
        self.start = now
        self.seconds = (now.replace(hour=hour, minute=minute, second=0, microsecond=0) - now).total_seconds()

    def elapsed(self):
        return (datetime.datetime.now(datetime.timezone.utc) - self.start).total_seconds()

    def progress(self):
        return self.elapsed() / self.seconds


def cosine(progress):
    return .5 + .5 * math.cos(math.pi * min(1.0, progress))


def save_atomically(state, path):
    torch.save(state, path + ".tmp")
    os.rename(path + ".tmp", path)


class Average:
    """Exponential moving average of a module's floating point tensors."""

    def __init__(self, module, decay):
        self.module, self.decay, self.steps = module, decay, 0
        self.state = {k: v.clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self):
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        now = self.module.state_dict()
        keys = [k for k in now if now[k].is_floating_point()]
        torch._foreach_lerp_([self.state[k] for k in keys], [now[k] for k in keys], 1 - decay)
