"""True panoramas of the procedural world, to hold generated ones against.

usage: true_panoramas.py OUT_DIR [--width 1024]
"""
import argparse
import os

import numpy as np
from PIL import Image

from world import render_equirect, sample_environment

PANORAMAS = {
    "sunset-desert-mountains": dict(time="sunset", ground="desert", relief="mountains", sky="clear", obj="none"),
    "noon-meadow-hills-trees": dict(time="noon", ground="meadow", relief="hills", sky="cloudy", obj="trees"),
    "night-snow-city-aurora": dict(time="night", ground="snow", relief="city", sky="aurora", obj="none"),
    "dawn-sea-flat": dict(time="dawn", ground="sea", relief="flat", sky="cloudy", obj="none"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--width", type=int, default=1024)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for seed, (name, attributes) in enumerate(PANORAMAS.items()):
        env = sample_environment(np.random.RandomState(40 + seed), **attributes)
        picture = render_equirect(env, args.width, args.width // 2)
        Image.fromarray((picture * 255 + .5).astype(np.uint8)).save(f"{args.out}/{name}.png")


if __name__ == "__main__":
    main()
