"""Rendered pairs (render_pairs.py) in the memory of one device."""
import glob
import json
import time

import numpy as np
import torch

from world.captions import LEVEL, STEEP

CHUNK = 512


class Pairs:
    """Views 0.. of all chunks found so far; chunks that are still being rendered join with `refresh`."""

    def __init__(self, folder, capacity, device):
        self.folder, self.device, self.capacity = folder, device, capacity
        self.known, self.notes = [], []
        self.pictures = torch.empty(capacity, 128, 128, 3, dtype=torch.uint8, device=device)
        self.looked = 0.0

    def __len__(self):
        return len(self.known) * CHUNK

    def refresh(self, every=3.0):
        if time.time() - self.looked < every or len(self) == self.capacity:
            return
        self.looked = time.time()
        paths = [p for p in sorted(glob.glob(self.folder + "/v_*.npy")) if not p.endswith(".tmp.npy")]
        for path in [p for p in paths if p not in self.known][:(self.capacity - len(self)) // CHUNK]:
            start = len(self)
            self.pictures[start:start + CHUNK] = torch.from_numpy(np.load(path)).to(self.device)
            with open(path.replace("/v_", "/m_").replace(".npy", ".json")) as file:
                self.notes += json.load(file)
            self.known.append(path)

    def wait(self, count):
        while len(self) < count:
            self.refresh()
            time.sleep(.5)

    def tokens(self, kind):
        """`c` captions (N,8,77) or `i` instructions (N,4,77), int64."""
        all_tokens = np.concatenate([np.load(path.replace("/v_", f"/{kind}_")) for path in self.known])
        return torch.from_numpy(all_tokens.astype(np.int32)).to(self.device)

    def chances(self, pitched=1.0, steep=1.0):
        """How often each view is drawn: `pitched` times as often when a caption tells the pitch, `steep` beyond that."""
        pitch = np.abs([camera[1] for _, camera in self.notes])
        weights = np.where(pitch > STEEP, steep, np.where(pitch > LEVEL, pitched, 1.0))
        return torch.from_numpy(weights / weights.sum()).float().to(self.device)

    def batch(self, indices, mirrored):
        """Pictures in -1..1, channels last; `mirrored` bool per picture."""
        pictures = self.pictures[indices]
        pictures = torch.where(mirrored[:, None, None, None], pictures.flip(2), pictures)
        pictures = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1
        return pictures.contiguous(memory_format=torch.channels_last)


def partner(indices):
    """The other view of a pair."""
    return indices // CHUNK * CHUNK + (indices + CHUNK // 2) % CHUNK


class Draw:
    """Weighted random indices, drawn in large portions."""

    def __init__(self, chances, batch):
        self.chances, self.batch, self.left = chances, batch, []

    def next(self):
        if not self.left:
            drawn = torch.multinomial(self.chances, 64 * self.batch, replacement=True)
            self.left = list(drawn.split(self.batch))
        return self.left.pop()
