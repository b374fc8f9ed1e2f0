#!/usr/bin/env python3
"""rng.json: what torch.randn draws from the CPU generator (mt19937), bit for bit.

Below 16 numbers torch draws one by one; from 16 on it fills blocks of 16 (and refills the last 16 when the count
is no multiple of 16), so both sides of that border are here. A case is a list of draws made one after the other
from one generator.

torch has two block fills, chosen by the processor: "default" calls the C library's log, cos and sin; "avx2" (every
current x86 processor, also with AVX-512) uses its own polynomials. They differ in the last bits, so both are
recorded.
"""
import json
import os
import subprocess
import sys

import torch

SHOWN = 32
CASES = [
    (0, [[1]]), (0, [[2]]), (0, [[3]]), (7, [[15]]), (0, [[16]]), (0, [[17]]), (1, [[31]]), (1, [[33]]), (42, [[64]]),
    (42, [[100]]), (0, [[4, 16, 16]]), (1, [[1, 4, 16, 16]]), (123, [[5, 4, 16, 16]]), (0, [[4, 64, 64]]),
    (2024, [[2, 4, 64, 64]]), (4294967295, [[64]]), (4294967296, [[64]]), (4294967301, [[64]]),
    (9223372036854775807, [[64]]),
    (5, [[3], [3], [16], [5], [40]]), (5, [[4, 16, 16], [4, 16, 16], [4, 16, 16]]), (6, [[17], [17], [1], [1], [16]]),
]


def checksum(bits):
    """Sum of bits_i * (2 i + 1) modulo 2^64."""
    return sum(b * (2 * i + 1) for i, b in enumerate(bits)) & ((1 << 64) - 1)


def describe(values):
    bits = [b & 0xFFFFFFFF for b in values.contiguous().view(torch.int32).flatten().tolist()]
    entry = {"shape": list(values.shape), "checksum": f"{checksum(bits):016x}"}
    if len(bits) <= 2 * SHOWN:
        return dict(entry, bits=[f"{b:08x}" for b in bits])
    return dict(entry, first_bits=[f"{b:08x}" for b in bits[:SHOWN]], last_bits=[f"{b:08x}" for b in bits[-SHOWN:]])


def draw_all():
    """Every case with the block fill this process uses."""
    cases = []
    for seed, shapes in CASES:
        generator = torch.Generator().manual_seed(seed)
        cases.append({"seed": seed, "randn": [describe(torch.randn(s, generator=generator)) for s in shapes]})
    return cases


def draw_in_child(capability):
    environment = dict(os.environ, ATEN_CPU_CAPABILITY=capability)
    text = subprocess.run([sys.executable, __file__, "--child"], env=environment, check=True, capture_output=True).stdout
    used, cases = json.loads(text)
    assert used.lower() == capability, used
    return cases


def main():
    torch.set_num_threads(1)
    if "--child" in sys.argv:
        print(json.dumps([torch.backends.cpu.get_cpu_capability(), draw_all()]))
        return
    uniform = []
    for seed in (0, 1, 42):
        generator = torch.Generator().manual_seed(seed)
        uniform.append({"seed": seed, "rand": [describe(torch.rand([64], generator=generator))]})
    out = {
        "torch": torch.__version__, "bits": "f32 bit patterns in hexadecimal",
        "checksum": "sum of bits_i * (2 i + 1) modulo 2^64", "avx2": draw_in_child("avx2"),
        "default": draw_in_child("default"), "uniform": uniform,
    }
    text = json.dumps(out).replace('{"seed"', '\n{"seed"')
    for key in ("avx2", "default", "uniform"):
        text = text.replace(f'"{key}": [', f'\n"{key}": [')
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "rng.json"), "w") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    main()
