"""A small attribute classifier trained on procedural views: it judges whether generated pictures show what was asked.

usage: classifier.py DATA_DIR OUT_DIR [--epochs 4]
"""
import argparse
import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from data import Views
from world import GROUNDS, RELIEFS, SKIES, TIMES

HEADS = dict(time=TIMES, ground=GROUNDS, relief=RELIEFS, sky=SKIES)
BATCH, HELD_OUT, STEEPEST = 64, 600, 15


class Classifier(nn.Module):
    """Four strided convolutions; the columns are averaged, four rows remain; one linear layer per attribute."""

    def __init__(self, widths=(3, 24, 40, 64, 96)):
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in zip(widths, widths[1:]))
        self.head = nn.ModuleDict({k: nn.Linear(widths[-1] * 4, len(v)) for k, v in HEADS.items()})

    def forward(self, x):
        """N,3,64,64 in 0..1 -> logits per attribute."""
        x = x * 2 - 1
        for layer in self.conv:
            x = torch.relu(layer(x))
        x = x.mean(3).flatten(1)
        return {k: head(x) for k, head in self.head.items()}


def halve(pictures):
    return F.avg_pool2d(pictures, 2)


def augment(x):
    """Mirror, blur, brightness, tint and noise: the classifier must not lean on pixel detail."""
    if torch.rand(1) < .5:
        x = x.flip(3)
    if torch.rand(1) < .35:
        x = F.avg_pool2d(x, 3, 1, 1)
    brightness, tint = 1 + .1 * torch.randn(len(x), 1, 1, 1), .02 * torch.randn(len(x), 3, 1, 1)
    return (x * brightness + tint + .02 * torch.randn_like(x)).clamp(0, 1)


def load(folder):
    views = Views(folder)
    chosen = [i for i in range(len(views)) if abs(views.pitches[i]) < STEEPEST]
    pictures = [views.image(i, False) for i in chosen]
    labels = [[HEADS[k].index(views.notes[i][0][k]) for k in HEADS] for i in chosen]
    x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    x = torch.cat([halve(x[i:i + 1000].float() / 255) for i in range(0, len(x), 1000)])
    return x, torch.tensor(labels)


def train(model, x, labels, epochs):
    """Accuracy per attribute on the last HELD_OUT views."""
    count = len(x) - HELD_OUT
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * (count // BATCH))
    for epoch in range(epochs):
        order = torch.randperm(count)
        for i in range(0, count - BATCH + 1, BATCH):
            part = order[i:i + BATCH]
            logits = model(augment(x[part]))
            loss = sum(F.cross_entropy(v, labels[part, j]) for j, v in enumerate(logits.values()))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            guesses = [v.argmax(1) for v in model(x[count:]).values()]
        accuracy = {k: float((g == labels[count:, j]).float().mean()) for j, (k, g) in enumerate(zip(HEADS, guesses))}
        print(epoch, accuracy, flush=True)
    return accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    from safetensors.torch import save_file
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Classifier()
    accuracy = train(model, *load(args.data), args.epochs)
    os.makedirs(args.out, exist_ok=True)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, args.out + "/classifier.safetensors", metadata=dict(heads=json.dumps(HEADS)))
    note = dict(
        heads=HEADS, input="3x64x64 RGB in [0,1] (128x128 averaged 2x2), x*2-1",
        layers="4x conv3x3 stride 2 pad 1 + ReLU (24,40,64,96); mean over columns -> 96x4 flattened; linear per head",
        val_acc=accuracy)
    with open(args.out + "/config.json", "w") as file:
        json.dump(note, file, indent=1)


if __name__ == "__main__":
    main()
