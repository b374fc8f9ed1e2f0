"""Render pairs of views that differ in one attribute, with tokens of captions and instructions.

usage: render_pairs.py OUT_DIR FIRST_SEED CHUNKS [--rank R --world W] [--model DIR]
Chunk k holds the 256 pairs of the seeds FIRST_SEED + 256 k ...:
  v_<seed>.npy  (512,128,128,3) uint8     befores, then afters
  c_<seed>.npy  (512,8,77)      uint16    tokens of eight captions of each view
  i_<seed>.npy  (512,4,77)      uint16    tokens of four instructions that lead from this view to the other of its pair
  m_<seed>.json list of [environment, [yaw, pitch, fov]] of all 512 views
"""
import argparse
import json
import os

import numpy as np
from transformers import CLIPTokenizer

from world import sample_environment
from world.captions import caption, sun_is_visible
from world.edits import choose, edited, instruction, other_values, visible_attributes
from world.render import render
from world.views import sample_camera

PAIRS, CAPTIONS, INSTRUCTIONS = 256, 8, 4


def pair(seed):
    """(before, after), the attribute that differs, camera, random stream."""
    rng = np.random.RandomState(seed)
    before = sample_environment(rng)
    yaw, pitch, fov = sample_camera(rng)
    if rng.rand() < .25 and abs(pitch) < 30:
        yaw = (before["sun_az"] + rng.uniform(-30, 30)) % 360
    attribute = choose(rng, visible_attributes(pitch))
    after = edited(before, attribute, choose(rng, other_values(before, attribute)))
    return (before, after), attribute, (yaw, pitch, fov), rng


def render_chunk(first, tokenizer):
    pictures, captions, instructions, notes = [], [], [], []
    for i in range(PAIRS):
        worlds, attribute, camera, rng = pair(first + i)
        for env, other in (worlds, worlds[::-1]):
            pictures.append((render(env, *camera) * 255 + .5).astype(np.uint8))
            sun = sun_is_visible(env, *camera)
            captions.append([caption(env, rng, camera[1], sun) for _ in range(CAPTIONS)])
            instructions.append([instruction(env, other, attribute, rng) for _ in range(INSTRUCTIONS)])
            notes.append((env, camera))

    def tokens(texts):
        flat = [text for several in texts for text in several]
        ids = tokenizer(flat, padding="max_length", max_length=77, truncation=True, return_tensors="np")["input_ids"]
        return np.asarray(ids, np.uint16).reshape(len(texts), -1, 77)

    order = list(range(0, 2 * PAIRS, 2)) + list(range(1, 2 * PAIRS, 2))
    return (np.stack(pictures)[order], tokens(captions)[order], tokens(instructions)[order],
            [notes[i] for i in order])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("first", type=int)
    parser.add_argument("chunks", type=int)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--world", type=int, default=1)
    parser.add_argument("--model", default=os.path.join(os.path.dirname(__file__), "..", "model"))
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    tokenizer = CLIPTokenizer.from_pretrained(args.model, subfolder="tokenizer")
    for chunk in range(args.rank, args.chunks, args.world):
        first = args.first + chunk * PAIRS
        path = f"{args.out}/v_{first:08d}.npy"
        if os.path.exists(path):
            continue
        views, captions, instructions, notes = render_chunk(first, tokenizer)
        with open(path.replace("/v_", "/m_").replace(".npy", ".json"), "w") as file:
            json.dump(notes, file)
        np.save(path.replace("/v_", "/c_"), captions)
        np.save(path.replace("/v_", "/i_"), instructions)
        np.save(path + ".tmp.npy", views)
        os.rename(path + ".tmp.npy", path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
