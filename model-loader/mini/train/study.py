"""Pictures whose true edited forms are known, to measure editing methods with. usage: study.py OUT_DIR

edit/NN/     source.png, target.png, mask.png (white where the truth changes), meta.json       30 single views
pano/NN/     the same; 640x128 cylinders over 360 degrees, 128 columns = 72 degrees            12 panoramas
frames/NN/   frame_000.png ... of a turning camera, target/frame_000.png ..., meta.json        6 sequences of 8
meta.json: source_prompt, target_prompt, instruction, attribute, from, to
"""
import argparse
import json
import os

import numpy as np
from PIL import Image

from world import sample_environment
from world.camera import view_directions
from world.edits import choose, edited, other_values
from world.render import shade

ATTRIBUTES = ["time", "sky", "relief", "ground"]
WORDS = dict(
    time=dict(dawn="dawn", noon="noon", sunset="sunset", night="night"),
    sky=dict(clear="clear sky", cloudy="cloudy sky", starry="starry sky", aurora="aurora"),
    relief=dict(mountains="mountains", hills="hills", flat="a flat horizon", city="a city skyline"),
    ground=dict(sea="sea", desert="desert dunes", meadow="green meadow", snow="snowy field", canyon="red canyon"))
INSTRUCTIONS = dict(time="make it {w}", sky="change the sky to {w}", relief="replace the horizon with {w}",
                    ground="turn the ground into {w}")
THRESHOLD = 4 / 255         # a pixel belongs to the edit when a channel of the truth changes by more


def describe(env):
    words = {k: WORDS[k][env[k]] for k in ATTRIBUTES}
    return "{ground} at {time} under a {sky} with {relief}".format(**words)


def draw_pair(rng, attribute):
    """(before, after, meta): level scenes without near objects."""
    while True:
        before = sample_environment(rng, obj="none")
        value = choose(rng, other_values(before, attribute))
        after = edited(before, attribute, value)
        changed = [k for k in ATTRIBUTES if before[k] != after[k]]
        if changed == [attribute]:
            break
    words = WORDS[attribute][value]
    meta = dict(source_prompt=describe(before), target_prompt=describe(after), attribute=attribute,
                instruction=INSTRUCTIONS[attribute].format(w=words), to=value)
    meta["from"] = before[attribute]
    return before, after, meta


def cylinder_directions(width=640, height=128, columns_per_72=128):
    """Azimuth by column; the elevation's tangent by row, as in the middle column of a 72 degree view."""
    azimuth = (np.arange(width) + .5) / columns_per_72 * np.radians(72)
    slope = ((np.arange(height) + .5) / height * 2 - 1) * np.tan(np.radians(36))
    azimuth, slope = np.meshgrid(azimuth, slope)
    directions = np.stack([np.sin(azimuth), slope, np.cos(azimuth)], -1)
    return (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).astype(np.float32)


def save(path, picture):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Image.fromarray((np.clip(picture, 0, 1) * 255 + .5).astype(np.uint8)).save(path, optimize=True)


def write_pair(folder, before, after, meta, directions):
    source, target = (shade(env, directions, half_pixel=.4 * 72 / 128) for env in (before, after))
    save(f"{folder}/source.png", source)
    save(f"{folder}/target.png", target)
    save(f"{folder}/mask.png", (np.abs(source - target).max(-1) > THRESHOLD).astype(np.float32))
    write_meta(folder, meta)


def write_meta(folder, meta):
    with open(f"{folder}/meta.json", "w") as file:
        json.dump(meta, file, indent=1)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    args = parser.parse_args()
    rng = np.random.RandomState(20260)
    for i in range(30):
        before, after, meta = draw_pair(rng, ATTRIBUTES[i % 4])
        write_pair(f"{args.out}/edit/{i:02d}", before, after, meta, view_directions(rng.uniform(0, 360), 0., 72., 128))
    for i in range(12):
        before, after, meta = draw_pair(rng, ATTRIBUTES[i % 4])
        write_pair(f"{args.out}/pano/{i:02d}", before, after, meta, cylinder_directions())
    for i in range(6):
        before, after, meta = draw_pair(rng, ATTRIBUTES[i % 4])
        yaw, folder = rng.uniform(0, 360), f"{args.out}/frames/{i:02d}"
        for k in range(8):
            directions = view_directions(yaw + 3 * k, 0., 72., 128)
            save(f"{folder}/frame_{k:03d}.png", shade(before, directions, half_pixel=.4 * 72 / 128))
            save(f"{folder}/target/frame_{k:03d}.png", shade(after, directions, half_pixel=.4 * 72 / 128))
        write_meta(folder, meta)


if __name__ == "__main__":
    main()
