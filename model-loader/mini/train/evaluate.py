"""Quality numbers of a model directory against the procedural truth.

usage: evaluate.py [--model DIR] [--classifier DIR] [--parts vae,horizon,attributes] [--repeats 2] [--out FILE.json]

vae         PSNR and sharpness (mean |dx|) of 160 level true views through encoder and decoder
horizon     row of the horizon in pictures asked for with no pitch words, "low horizon" and "high horizon"
attributes  time, ground and relief that the classifier sees in pictures of all 80 combinations, per repeat one seed
"""
import argparse
import json
import os
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from classifier import Classifier, halve
from sampling import Model, contact_sheet, to_tensor
from world import GROUNDS, RELIEFS, TIMES, render, sample_environment

HERE = os.path.dirname(os.path.abspath(__file__))
GROUND_PROMPT = dict(
    sea="sea", desert="desert dunes", meadow="green meadow", snow="snowy field", canyon="red canyon")
RELIEF_PROMPT = dict(
    mountains="with mountains", hills="with hills", flat="with a flat horizon", city="with a city skyline")
PITCH_WORDS = {"": 0.0, ", low horizon": 9.0, ", high horizon": -9.0}   # 9 degrees: middle of the trained class 3..15
COMBINATIONS = [(t, g, r) for t in TIMES for g in GROUNDS for r in RELIEFS]


def true_views(count):
    rng, pictures = np.random.RandomState(77), []
    for time_of_day, ground, relief in (COMBINATIONS * 2)[:count]:
        env = sample_environment(rng, time=time_of_day, ground=ground, relief=relief)
        if time_of_day != "night" and env["sky"] not in ("clear", "cloudy"):
            env["sky"] = "clear"
        pictures.append(render(env, rng.uniform(0, 360), 0.))
    return to_tensor(pictures)


def sharpness(pictures):
    return float((pictures[..., 1:] - pictures[..., :-1]).abs().mean())


def judge(classifier, pictures, wanted):
    """Share of pictures whose attributes are seen as asked."""
    with torch.no_grad():
        seen = {k: v.argmax(1) for k, v in classifier(halve(pictures)).items()}
    right = torch.tensor([[seen["time"][i] == TIMES.index(t), seen["ground"][i] == GROUNDS.index(g),
                           seen["relief"][i] == RELIEFS.index(r)] for i, (t, g, r) in enumerate(wanted)]).float()
    names = ("time", "ground", "relief")
    return dict({n: float(right[:, j].mean()) for j, n in enumerate(names)}, all=float(right.prod(1).mean()))


def horizon_row(picture):
    """Row with the strongest change of the column-averaged colour, three rows against three."""
    profile = picture.mean(2)                                      # 3,H
    sums = torch.cumsum(torch.cat([torch.zeros(3, 1), profile], 1), 1)
    blocks = (sums[:, 3:] - sums[:, :-3]) / 3                      # mean of rows i..i+2
    change = (blocks[:, 3:] - blocks[:, :-3]).abs().sum(0)
    return int(change.argmax()) + 3


def row_of_pitch(pitch, fov=72., size=128):
    return size / 2 * (1 + np.tan(np.radians(pitch)) / np.tan(np.radians(fov / 2)))


def evaluate_vae(model, classifier):
    truth = true_views(160)
    made = model.decode(model.encode(truth))
    error = (made - truth).pow(2).mean((1, 2, 3))
    wanted = COMBINATIONS * 2
    return dict(
        psnr=float(-10 * torch.log10(error).mean()), sharpness_truth=sharpness(truth), sharpness_decoded=sharpness(made),
        accuracy_truth=judge(classifier, truth, wanted), accuracy_decoded=judge(classifier, made, wanted))


def evaluate_horizon(model, repeats):
    pairs = [(t, g) for t in TIMES for g in GROUNDS]
    rng, out = np.random.RandomState(78), {}
    for number, (words, pitch) in enumerate(PITCH_WORDS.items()):
        prompts = [f"{GROUND_PROMPT[g]} at {t} with a flat horizon{words}" for t, g in pairs] * repeats
        seeds = range(8000 + 1000 * number, 8000 + 1000 * number + len(prompts))
        rows = np.array([horizon_row(p) for p in model.sample(prompts, list(seeds))])
        envs = [sample_environment(rng, time=t, ground=g, relief="flat", sky="clear", obj="none") for t, g in pairs]
        truth = [horizon_row(p) for p in to_tensor([render(e, rng.uniform(0, 360), pitch) for e in envs])]
        out[words or "none"] = dict(
            median=float(np.median(rows)), within_6_rows_of_median=float((abs(rows - np.median(rows)) <= 6).mean()),
            within_6_rows_of_middle=float((abs(rows - 64) <= 6).mean()), rows=rows.tolist(),
            true_row=float(row_of_pitch(pitch)), estimator_median_on_truth=float(np.median(truth)))
    return out


def evaluate_attributes(model, classifier, repeats, sheet):
    wanted = COMBINATIONS * repeats
    prompts = [f"{GROUND_PROMPT[g]} at {t} {RELIEF_PROMPT[r]}" for t, g, r in wanted]
    pictures = model.sample(prompts, list(range(5000, 5000 + len(prompts))))
    if sheet:
        Image.fromarray(contact_sheet(pictures[:80], 16)).save(sheet)
    return dict(judge(classifier, pictures, wanted), sharpness=sharpness(pictures), count=len(pictures))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=os.path.join(HERE, "..", "model"))
    parser.add_argument("--classifier", default=os.path.join(HERE, "..", "classifier"))
    parser.add_argument("--parts", default="vae,horizon,attributes")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out")
    parser.add_argument("--sheet", help="write the first 80 generated pictures to this PNG")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, classifier, out = Model(args.model), Classifier(), {}
    classifier.load_state_dict(load_file(args.classifier + "/classifier.safetensors"))
    work = dict(
        vae=lambda: evaluate_vae(model, classifier), horizon=lambda: evaluate_horizon(model, max(1, args.repeats // 2)),
        attributes=lambda: evaluate_attributes(model, classifier, args.repeats, args.sheet))
    for part in args.parts.split(","):
        start = time.time()
        out[part] = work[part]()
        print(part, f"{time.time() - start:.0f} s", json.dumps(out[part]), flush=True)
    if args.out:
        with open(args.out, "w") as file:
            json.dump(out, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
