#!/usr/bin/env python3
"""mini/classifier.safetensors: what PyTorch's classifier of the mini world sees in the pictures of mini.safetensors.

usage: make_classifier_golden.py [OUT_DIR]

    features [3,384]        input of the heads for image.u8 / 255
    logits [3,17]           time 4, ground 5, relief 4, sky 4
    coordinates [3,33]      of true_features.py: along the principal directions, and the length of the rest (f64 maths)
metadata: SHA-256 of the two files they come from.
"""
import hashlib
import os
import sys

import torch
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
MINI = os.path.normpath(os.path.join(HERE, "..", "..", "model-loader", "mini"))
sys.path[:0] = [MINI, MINI + "/train"]
from true_features import FOLDER, features, load_classifier, project  # noqa: E402


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else HERE + "/mini"
    torch.set_num_threads(1)
    pictures = load_file(HERE + "/mini/mini.safetensors")["image.u8"].float() / 255
    classifier = load_classifier()
    found = features(classifier, pictures)
    with torch.no_grad():
        logits = torch.cat([head(found) for head in classifier.head.values()], 1)
    truth = load_file(FOLDER + "/true_features.safetensors")
    coordinates = project(found, truth["mean"], truth["basis"], truth["scale"]).float()
    note = {name: sha256(f"{FOLDER}/{name}.safetensors") for name in ("classifier", "true_features")}
    values = dict(features=found, logits=logits, coordinates=coordinates)
    save_file({k: v.contiguous() for k, v in values.items()}, out + "/classifier.safetensors", metadata=note)
    print(logits, coordinates[:, -1])


if __name__ == "__main__":
    main()
