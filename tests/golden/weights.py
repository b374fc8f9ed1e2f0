"""Seeded weights as a pure function of (seed, component, tensor name, flat index).

Another program can regenerate them bit for bit, so a golden directory needs no weight files.
All integer arithmetic is modulo 2^64:

    fnv(s)  : h = 0xcbf29ce484222325; for each byte b of s: h ^= b; h *= 0x100000001b3
    mix(z)  : z ^= z>>30; z *= 0xbf58476d1ce4e5b9; z ^= z>>27; z *= 0x94d049bb133111eb; z ^= z>>31
    key     = mix(fnv(component + "/" + name) + (seed + 1) * 0x9e3779b97f4a7c15)
    bits_i  = mix(key + (i + 1) * 0x9e3779b97f4a7c15) >> 40            (24 bits)
    u_i     = (2 * bits_i + 1 - 2^24) / 2^24                           (exact in f64, uniform in (-1, 1))
    w_i     = f32(offset + scale * u_i)                                (f64 multiply, f64 add, round to f32,
                                                                        then to f16 or bf16 as meta.store says)

`component` is unet, vae, text_encoder, text_encoder_2 or controlnet; `name` is the key in the published safetensors
files (text encoders always with the text_model. prefix). rule() gives offset and scale.

Run as a program it writes weight_vectors.json: test vectors for an implementation in another language.
"""
import json
import math
import os

import numpy as np
import torch

MASK = (1 << 64) - 1
GOLDEN_RATIO = 0x9E3779B97F4A7C15
MULTIPLIER_1, MULTIPLIER_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
CHUNK = 1 << 20
DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
ZERO_CONVOLUTIONS = ("controlnet_down_blocks", "controlnet_mid_block", "controlnet_cond_embedding.conv_out")


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def mix(z):
    z ^= z >> 30
    z = z * MULTIPLIER_1 & MASK
    z ^= z >> 27
    z = z * MULTIPLIER_2 & MASK
    return z ^ (z >> 31)


def mix_array(z):
    """mix() on a uint64 array, in place."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(MULTIPLIER_1)
    z ^= z >> np.uint64(27)
    z *= np.uint64(MULTIPLIER_2)
    z ^= z >> np.uint64(31)
    return z


def rule(name, shape):
    """(offset, scale) of a tensor."""
    if name.endswith("bias"):
        return 0.0, 0.1
    if len(shape) == 1:                       # norm weights; every other 1-D tensor is a bias
        return 1.0, 0.2
    if "token_embedding" in name:
        return 0.0, 0.5
    if "position_embedding" in name:
        return 0.0, 0.25
    gain = 0.5 if name.startswith(ZERO_CONVOLUTIONS) else 1.0
    fan_in = float(np.prod(shape[1:]))
    return 0.0, gain * math.sqrt(3.0 / fan_in)


def weight(seed, component, name, shape):
    """The f32 tensor of that name."""
    count = int(np.prod(shape))
    key = mix((fnv1a(component + "/" + name) + (seed + 1) * GOLDEN_RATIO) & MASK)
    offset, scale = rule(name, shape)
    out = np.empty(count, np.float32)
    for start in range(0, count, CHUNK):
        stop = min(count, start + CHUNK)
        z = np.arange(start + 1, stop + 1, dtype=np.uint64)
        z *= np.uint64(GOLDEN_RATIO)
        z += np.uint64(key)
        bits = mix_array(z) >> np.uint64(40)
        u = (2.0 * bits.astype(np.float64) + (1.0 - 2.0 ** 24)) / 2.0 ** 24
        out[start:stop] = (offset + scale * u).astype(np.float32)
    return torch.from_numpy(out).reshape(shape)


def checksum(values):
    """Sum of bits_i * (2 i + 1) modulo 2^64 over the f32 bit patterns."""
    bits = values.numpy().reshape(-1).view(np.uint32).astype(np.uint64)
    odd = np.arange(len(bits), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return int((bits * odd).sum(dtype=np.uint64))


VECTOR_CASES = [
    (0, "unet", "conv_in.weight", (320, 4, 3, 3)),
    (0, "unet", "down_blocks.0.resnets.0.norm1.weight", (320,)),
    (7, "vae", "decoder.conv_in.bias", (512,)),
    (0, "text_encoder", "text_model.embeddings.token_embedding.weight", (1000, 32)),
    (1, "text_encoder", "text_model.embeddings.position_embedding.weight", (77, 32)),
    (0, "controlnet", "controlnet_mid_block.weight", (1280, 1280, 1, 1)),
    (3, "unet", "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj.weight", (10240, 1280)),
]


def main():
    vectors = []
    for seed, component, name, shape in VECTOR_CASES:
        values = weight(seed, component, name, shape)
        bits = values.numpy().reshape(-1).view(np.uint32)
        vectors.append({
            "seed": seed, "component": component, "name": name, "shape": list(shape),
            "first_second_last_f32_bits": [f"{int(bits[i]):08x}" for i in (0, 1, -1)],
            "checksum": f"{checksum(values):016x}",
        })
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weight_vectors.json")
    with open(path, "w") as file:
        json.dump({"checksum": "sum of f32_bits[i] * (2 i + 1) modulo 2^64", "vectors": vectors}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
