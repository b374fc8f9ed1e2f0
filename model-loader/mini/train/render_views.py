"""Render training views. usage: render_views.py OUT_DIR FIRST_SEED CHUNKS [--rank R --world W]

Chunk k holds the 512 views of the seeds FIRST_SEED + 512 k ...: v_<seed>.npy (512,128,128,3 uint8) and m_<seed>.json,
a list of [environment, [yaw, pitch, fov]].
"""
import argparse
import json
import os

import numpy as np

from world.views import training_view

CHUNK = 512


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("first", type=int)
    parser.add_argument("chunks", type=int)
    parser.add_argument("--rank", type=int, default=0)
    parser.add_argument("--world", type=int, default=1)
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for chunk in range(args.rank, args.chunks, args.world):
        first = args.first + chunk * CHUNK
        path = f"{args.out}/v_{first:08d}.npy"
        if os.path.exists(path):
            continue
        views = [training_view(first + i) for i in range(CHUNK)]
        with open(path.replace("/v_", "/m_").replace(".npy", ".json"), "w") as file:
            json.dump([(env, camera) for _, env, camera in views], file)
        np.save(path + ".tmp.npy", np.stack([picture for picture, _, _ in views]))
        os.rename(path + ".tmp.npy", path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
