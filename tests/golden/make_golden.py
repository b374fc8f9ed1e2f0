#!/usr/bin/env python3
"""Make a golden directory: a seeded model in diffusers layout, its inputs, and what PyTorch computes from them.

usage: make_golden.py CONFIG [--seed 0] [--out DIR] [--store f16|bf16|f32] [--weights yes|no] [--hw 16x24] [--steps 5]
                      [--parts text,unet,vae,sched,traj] [--taps yes|no] [--f64 yes|no] [--drop GLOB,GLOB] [--threads N]

Nothing is downloaded and no tokenizer is needed. README.md describes the format; weights.py the weight function;
configs.py the configurations. For the full-size ones use --weights no and choose --parts.
"""
import argparse
import fnmatch
import json
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")

import torch  # noqa: E402

import configs  # noqa: E402
from models import save_model, seeded_modules, weights_digest  # noqa: E402
from runs import CONTROL_SCALE, GUIDANCE, GUIDANCE_XL, IMAGE_GUIDANCE, Reference, make_inputs  # noqa: E402
from schedulers import scheduler_goldens  # noqa: E402

ALL_PARTS = "text,unet,vae,sched,traj"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", choices=list(configs.ALL))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    parser.add_argument("--store", choices=("f16", "bf16", "f32"), default="f16")
    parser.add_argument("--weights", choices=("yes", "no"), default="no")
    parser.add_argument("--hw", help="height x width of the latents")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--parts", help="comma-separated subset of " + ALL_PARTS)
    parser.add_argument("--taps", choices=("yes", "no"), help="outputs of inner modules (default: small models only)")
    parser.add_argument("--f64", choices=("yes", "no"), help="repeat in f64 (default: small models only)")
    parser.add_argument("--drop", default="", help="patterns of expected tensors to leave out")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    small, model = args.config in configs.TINY, configs.ALL[args.config]
    args.taps = small if args.taps is None else args.taps == "yes"
    args.f64 = small if args.f64 is None else args.f64 == "yes"
    args.threads = args.threads or (1 if small else 2)
    args.hw = tuple(int(x) for x in args.hw.split("x")) if args.hw else model.get("hw", (16, 24))
    args.parts = set((args.parts or model.get("parts", ALL_PARTS)).split(","))
    args.out = args.out or f"{args.config}-s{args.seed}"
    return args, model


def dropped(name, patterns):
    return any(fnmatch.fnmatch(name, p) for p in patterns.split(",") if p)


def statistics(value, exact=None):
    """rms and largest magnitude and, with the f64 run, how far f32 is from it."""
    best = (value if exact is None else exact).double()
    numbers = {} if exact is None else {"max_abs_diff_f64": float((value.double() - best).abs().max())}
    return dict(numbers, rms=float(best.pow(2).mean().sqrt()), max=float(best.abs().max()))


def save_tensors(path, tensors):
    from safetensors.torch import save_file
    kept = {k: (v.float() if v.is_floating_point() else v).contiguous().clone() for k, v in tensors.items()}
    save_file(kept, path, metadata={"format": "pt"})


def versions():
    import diffusers
    import numpy
    import transformers
    return {m.__name__: m.__version__ for m in (torch, diffusers, transformers, numpy)}


def compute(args, model, modules, inputs):
    """(expected, taps, statistics, times)"""
    reference = Reference(model, modules, inputs, args.hw, args.steps, torch.float32)
    reference.run(args.parts, args.taps)
    if reference.drawn is not None:
        inputs["traj.euler_a.noise"] = reference.drawn
    expected = {k: v for k, v in reference.expected.items() if not dropped(k, args.drop)}
    exact = {}
    if args.f64:
        for module in modules.values():
            module.double()
        reference_64 = Reference(model, modules, inputs, args.hw, args.steps, torch.float64)
        reference_64.run(args.parts, args.taps)
        exact = {**reference_64.expected, **reference_64.taps}
    numbers = {k: statistics(v, exact.get(k)) for k, v in {**expected, **reference.taps}.items()}
    if not args.f64:
        numbers = {k: v for k, v in numbers.items() if k in expected}
    if "sched" in args.parts:
        states = scheduler_goldens(model["scheduler"], inputs, args.steps)
        expected.update(states)
        numbers.update({k: statistics(v) for k, v in states.items()})
    return expected, reference.taps, numbers, reference.times


def describe(args, model, modules, digests, times, numbers):
    return dict(
        config=args.config, seed=args.seed, store=args.store, latent_hw=args.hw, steps=args.steps,
        parts=sorted(args.parts), versions=versions(),
        guidance_scale=GUIDANCE_XL if model["kind"] == "sdxl" else GUIDANCE,
        image_guidance_scale=IMAGE_GUIDANCE if model["kind"] == "ip2p" else None,
        controlnet_conditioning_scale=CONTROL_SCALE if "controlnet" in model else None,
        cfg_batch_order="uncond,cond (ip2p: text+image, image only, none)",
        scheduler_prediction_type=model["scheduler"]["prediction_type"], timestep_spacing="leading", steps_offset=1,
        params={k: sum(p.numel() for p in m.parameters()) for k, m in modules.items()},
        weights_sha256_32=digests, times=times, tensors=numbers)


def main():
    args, model = arguments()
    torch.set_num_threads(args.threads)
    start = time.time()
    modules = seeded_modules(model, args.seed, args.store)
    small = args.config in configs.TINY
    digests = {c: weights_digest(c, m, args.store) for c, m in modules.items()} if small else {}
    inputs = make_inputs(model, args.seed, args.hw, args.steps)
    os.makedirs(args.out + "/golden", exist_ok=True)
    save_model(args.out, model, modules, args.store, args.weights == "yes")
    expected, taps, numbers, times = compute(args, model, modules, inputs)
    for name, value in expected.items():
        assert torch.isfinite(value).all(), name
    save_tensors(args.out + "/golden/inputs.safetensors", inputs)
    save_tensors(args.out + "/golden/expected.safetensors", expected)
    if taps:
        save_tensors(args.out + "/golden/taps.safetensors", taps)
    with open(args.out + "/golden/meta.json", "w") as file:
        json.dump(describe(args, model, modules, digests, times, numbers), file, indent=1)
        file.write("\n")
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(args.out) for name in names]
    for path in paths:
        os.chmod(path, 0o644)
    megabytes = sum(os.path.getsize(p) for p in paths) / 1e6
    print(f"{args.config} -> {args.out}: {len(expected)} tensors, {megabytes:.2f} MB, {time.time() - start:.1f} s")


if __name__ == "__main__":
    main()
