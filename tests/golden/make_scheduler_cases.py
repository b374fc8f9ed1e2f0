#!/usr/bin/env python3
"""scheduler_cases.json: what diffusers' schedulers do where the golden directories do not look.

DDPM, shaped sigma schedules, fresh noise in DDIM, starts from an image, zero terminal SNR, sample prediction, a single step, a
method's own timesteps. Three elements each; the inputs are sines, so that the file holds results only. Then fingerprints of the
timesteps for many step counts (FNV-1a over 16-bit little-endian integers).
"""
import json
import math
import os

import diffusers
import diffusers.schedulers.scheduling_ddpm as ddpm_module
import diffusers.schedulers.scheduling_euler_ancestral_discrete as ancestral_module
import diffusers.schedulers.scheduling_lcm as lcm_module
import torch

STABLE_DIFFUSION = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000,
                        steps_offset=1)
SHAPES = dict(discrete={}, karras=dict(use_karras_sigmas=True), exponential=dict(use_exponential_sigmas=True))
SPACINGS = ("leading", "trailing", "linspace")
METHODS = ("ddim", "ddpm", "euler", "euler_a", "dpm++2m")
STEP_COUNTS = [*range(1, 61), 64, 75, 77, 90, 100, 111, 128, 150, 200, 250, 333, 499, 500, 501, 700, 998]
step_index = 0


def row(function):
    return torch.tensor([[function(j) for j in range(3)]], dtype=torch.float32)


def noise(*_args, **_kwargs):
    return row(lambda j: math.sin(2.3 * step_index + 1.1 * j + 0.4))


def make(method, prediction, spacing, shape, zero_snr=False):
    options = dict(STABLE_DIFFUSION, prediction_type=prediction, timestep_spacing=spacing, rescale_betas_zero_snr=zero_snr)
    if method == "ddim":
        return diffusers.DDIMScheduler(**options, clip_sample=False, set_alpha_to_one=False)
    if method == "ddpm":
        return diffusers.DDPMScheduler(**options, clip_sample=False)
    if method == "euler":
        return diffusers.EulerDiscreteScheduler(**options, **SHAPES[shape])
    if method == "euler_a":
        return diffusers.EulerAncestralDiscreteScheduler(**options)
    if method == "heun":
        options.pop("rescale_betas_zero_snr")
        return diffusers.HeunDiscreteScheduler(**options, **SHAPES[shape])
    if method == "lcm":
        return diffusers.LCMScheduler(**options, clip_sample=False, set_alpha_to_one=False)
    if method == "unipc":
        return diffusers.UniPCMultistepScheduler(**options, **SHAPES[shape])
    if method == "pndm":
        options.pop("rescale_betas_zero_snr")
        return diffusers.PNDMScheduler(**options, skip_prk_steps=True, set_alpha_to_one=False)
    return diffusers.DPMSolverMultistepScheduler(**options, **SHAPES[shape], algorithm_type="dpmsolver++", solver_order=2)


def run(method, prediction, spacing, shape, steps, strength=None, eta=None, zero_snr=False, nodes=None):
    global step_index
    step_index = 0
    scheduler = make(method, prediction, spacing, shape, zero_snr)
    if nodes:
        scheduler.set_timesteps(timesteps=nodes)
    else:
        scheduler.set_timesteps(steps)
    case = dict(method=method, prediction=prediction, spacing=spacing, sigma_schedule=shape, steps=steps,
                init_noise_sigma=float(scheduler.init_noise_sigma))
    first = 0 if strength is None else max(steps - min(int(steps * strength), steps), 0)   # as the img2img pipelines do
    first *= scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(first)
    timesteps = scheduler.timesteps[first:]
    x = row(lambda j: math.cos(1.3 * j))
    if strength is None:
        x = x * case["init_noise_sigma"]
    else:
        x = scheduler.add_noise(x, noise(), timesteps[:1])
        case.update(strength=strength, start=x[0].tolist())
    scales, states = [], []
    for step_index, t in enumerate(timesteps):
        scales.append(float(scheduler.scale_model_input(torch.ones(1), t)[0]))
        extra = {} if eta is None else dict(eta=eta, variance_noise=noise())
        output = row(lambda j: math.sin(1.7 * step_index + 0.9 * j + 0.2))
        x = scheduler.step(output, t, x, return_dict=False, **extra)[0]
        states.append(x[0].tolist())
    case.update(timesteps=[float(t) for t in timesteps], input_scale=scales, x=states)
    optional = dict(eta=eta, rescale_betas_zero_snr=zero_snr or None, nodes=nodes)
    case.update({key: value for key, value in optional.items() if value is not None})
    return case


def all_cases():
    cases = []
    for spacing in SPACINGS:
        for prediction in ("epsilon", "v_prediction"):
            cases.append(run("ddpm", prediction, spacing, "discrete", 7))
        for shape in ("karras", "exponential"):
            cases.append(run("euler", "v_prediction", spacing, shape, 9))
        cases.append(run("dpm++2m", "epsilon", spacing, "exponential", 9))
        cases.append(run("ddim", "v_prediction", spacing, "discrete", 6, eta=0.7))
        cases.append(run("euler_a", "v_prediction", spacing, "discrete", 6))
        for method in METHODS:
            cases.append(run(method, "epsilon", spacing, "discrete", 10, strength=0.35))
        cases.append(run("dpm++2m", "v_prediction", spacing, "karras", 16, strength=0.5))
        for method in ("ddim", "dpm++2m"):
            cases.append(run(method, "sample", spacing, "discrete", 4))
        for method in ("ddim", "euler", "dpm++2m"):
            cases.append(run(method, "v_prediction", spacing, "discrete", 5, zero_snr=True))
    for spacing in SPACINGS:
        for method in ("unipc", "pndm"):
            for prediction in ("epsilon", "v_prediction"):
                cases.append(run(method, prediction, spacing, "discrete", 9))
            cases.append(run(method, "epsilon", spacing, "discrete", 12, strength=0.6))
    for shape in ("karras", "exponential"):
        cases.append(run("unipc", "v_prediction", "linspace", shape, 8))
    for method in ("unipc", "pndm"):
        for steps in (1, 2, 3):
            cases.append(run(method, "epsilon", "leading", "discrete", steps))
    for method in METHODS:
        for spacing in ("trailing", "leading"):
            cases.append(run(method, "epsilon", spacing, "discrete", 1))
    for prediction in ("epsilon", "v_prediction"):
        for spacing in SPACINGS:
            cases.append(run("heun", prediction, spacing, "discrete", 7))
        for shape in ("karras", "exponential"):
            cases.append(run("heun", prediction, "linspace", shape, 6))
        for steps in (1, 4, 7):
            cases.append(run("lcm", prediction, "leading", "discrete", steps))
    for method in ("heun", "lcm"):
        cases.append(run(method, "epsilon", "leading", "discrete", 10, strength=0.35))
        cases.append(run(method, "sample", "leading", "discrete", 3))
    cases.append(run("heun", "epsilon", "trailing", "discrete", 1))
    for nodes in ([640, 611, 591, 530, 418, 305, 200, 111, 58, 20],
                  [int(999 - 999 * i / 24) for i in range(24)]):
        cases.append(run("dpm++2m", "epsilon", "leading", "discrete", len(nodes), nodes=nodes))
    return cases


def fingerprint(timesteps):
    value = 0xCBF29CE484222325
    for t in timesteps:
        for byte in t.to_bytes(2, "little"):
            value = ((value ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return f"{value:016x}"


def all_timesteps():
    sets = []
    for method, shape in (("ddim", "discrete"), ("dpm++2m", "discrete"), ("dpm++2m", "karras"), ("dpm++2m", "exponential")):
        for spacing in SPACINGS if shape == "discrete" else ("leading",):
            scheduler, rows = make(method, "epsilon", spacing, shape), []
            for steps in STEP_COUNTS:
                scheduler.set_timesteps(steps)
                # numpy's arange sometimes has one entry too many, at timestep -1
                rows.append([steps, fingerprint([int(t) for t in scheduler.timesteps if t >= 0])])
            sets.append(dict(method=method, sigma_schedule=shape, spacing=spacing, rows=rows))
    return sets


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


def lines(entries):
    return ",\n".join(json.dumps(rounded(e), separators=(",", ":")) for e in entries)


def main():
    ddpm_module.randn_tensor = ancestral_module.randn_tensor = lcm_module.randn_tensor = noise
    versions = json.dumps(dict(diffusers=diffusers.__version__, torch=torch.__version__))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scheduler_cases.json")
    with open(path, "w") as file:
        file.write(f'{{"reference": {versions},\n"cases": [\n{lines(all_cases())}\n],\n"timesteps": [\n{lines(all_timesteps())}\n]}}\n')


if __name__ == "__main__":
    main()
