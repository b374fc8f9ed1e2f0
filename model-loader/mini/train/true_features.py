"""Features of true views for the Fréchet distance of generated ones: classifier/true_{features,worlds}.safetensors.

usage: true_features.py [--out DIR] [--parts features,worlds]

true_features.safetensors
-------------------------

Level views of 72 degrees, the same number for each of the 80 combinations of time, ground and relief; sky, objects, sun and
direction are random. f is the classifier's input to its heads (384 numbers: four rows of 96 channels), s² the sum of its
variances over these views:

    mean [384]        of f
    basis [32,384]    the first principal directions divided by s, rounded to f16 before they are used
    rows [N,33] f16   of each view: 32 coordinates b = basis (f - mean), and the length of the rest,
                      sqrt(|f - mean|² / s² - |b|²), so that what leaves the span of the 32 directions is still seen
    labels [N,4] u8   time, ground, relief and sky, as indices of the heads' classes
    scale [1]         s

A distance of 1 is therefore as far as true views vary.

true_worlds.safetensors
-----------------------
Three worlds for each combination and ten views around the horizon of each, 36 degrees apart, in the same coordinates: what a
true panorama has. Their seeds are others.

    rows [240,10,33] f16, labels [240,4] u8
"""
import argparse
import os

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from classifier import HEADS, Classifier, halve
from world import GROUNDS, RELIEFS, TIMES, render, sample_environment

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.normpath(os.path.join(HERE, "..", "classifier"))
SEED, FOV, DIRECTIONS, PER_COMBINATION = 20_261_120, 72.0, 32, 28
WORLD_SEED, WORLDS_PER_COMBINATION, VIEWS_AROUND = 20_261_121, 3, 10
COMBINATIONS = [(time, ground, relief) for time in TIMES for ground in GROUNDS for relief in RELIEFS]


def environment(rng, time, ground, relief):
    env = sample_environment(rng, time=time, ground=ground, relief=relief)
    if time != "night" and env["sky"] in ("starry", "aurora"):
        env["sky"] = "clear"
    return env


def features(classifier, pictures):
    """[N,3,128,128] in 0..1 -> [N,384]"""
    x = halve(pictures) * 2 - 1
    with torch.no_grad():
        for layer in classifier.conv:
            x = torch.relu(layer(x))
    return x.mean(3).flatten(1)


def load_classifier():
    classifier = Classifier()
    classifier.load_state_dict(load_file(FOLDER + "/classifier.safetensors"))
    return classifier


def label(env):
    return [HEADS[k].index(env[k]) for k in HEADS]


def true_features():
    rng, classifier, rows, labels = np.random.RandomState(SEED), load_classifier(), [], []
    for _ in range(PER_COMBINATION):
        pictures = []
        for combination in COMBINATIONS:
            env = environment(rng, *combination)
            pictures.append(render(env, rng.uniform(0, 360), 0., FOV))
            labels.append(label(env))
        rows.append(features(classifier, torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)))
    return torch.cat(rows).double(), torch.tensor(labels, dtype=torch.uint8)


def true_worlds():
    rng, classifier, rows, labels = np.random.RandomState(WORLD_SEED), load_classifier(), [], []
    for combination in COMBINATIONS * WORLDS_PER_COMBINATION:
        env, start = environment(rng, *combination), rng.uniform(0, 360)
        pictures = [render(env, start + 360. * i / VIEWS_AROUND, 0., FOV) for i in range(VIEWS_AROUND)]
        rows.append(features(classifier, torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)))
        labels.append(label(env))
    return torch.cat(rows).double(), torch.tensor(labels, dtype=torch.uint8)


def project(f, mean, basis, scale):
    """[N,384] -> [N,33]"""
    away = f.double() - mean.double()
    inside = away @ basis.double().T
    rest = (away.pow(2).sum(1) / scale.double() ** 2 - inside.pow(2).sum(1)).clamp(min=0).sqrt()
    return torch.cat([inside, rest[:, None]], 1)


def write_features(folder):
    f, labels = true_features()
    mean = f.mean(0).float()
    variances, directions = torch.linalg.eigh(torch.cov((f - mean).T))
    scale = variances.sum().sqrt().float()[None]
    # eigh sorts upwards
    basis = (directions.T.flip(0)[:DIRECTIONS] / scale).half()
    share = float(variances.flip(0)[:DIRECTIONS].sum() / variances.sum())
    rows = project(f, mean, basis, scale).half()
    note = dict(views=str(len(f)), fov=str(FOV), seed=str(SEED), variance_in_basis=f"{share:.4f}")
    values = dict(mean=mean, basis=basis.contiguous(), rows=rows, labels=labels, scale=scale)
    save_file(values, folder + "/true_features.safetensors", metadata=note)
    print(note)


def write_worlds(folder):
    truth = load_file(folder + "/true_features.safetensors")
    f, labels = true_worlds()
    rows = project(f, truth["mean"], truth["basis"], truth["scale"]).half().reshape(-1, VIEWS_AROUND, DIRECTIONS + 1)
    note = dict(fov=str(FOV), seed=str(WORLD_SEED))
    save_file(dict(rows=rows, labels=labels), folder + "/true_worlds.safetensors", metadata=note)
    print(note, rows.shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=FOLDER)
    parser.add_argument("--parts", default="features,worlds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for part in args.parts.split(","):
        dict(features=write_features, worlds=write_worlds)[part](args.out)


if __name__ == "__main__":
    main()
