#!/usr/bin/env python3
"""jobs/jobs.safetensors: what diffusers' pipelines draw from prompts, seeds and pictures, for the jobs that do the same.

usage: make_job_golden.py [OUT_DIR]

The models are the small ones of configs.py with seeded weights (seed 0; the second ControlNet has seed 1), a vocabulary of 1069
and the tokenizer of the mini model (the first of SDXL's two pads with its end token). Cases are listed below; each gives
<case>.latents [B,4,h,w], the last state, and where it says so <case>.image.u8 [B,3,H,W]. Noise comes from torch's CPU generator.
Where pipelines draw a sample of the autoencoder's posterior, they are made to take its mode.
    init.u8, control.a.u8, control.b.u8 [H,W,3]     pictures
    mask [H,W], depth [h,w]                         1 where drawn anew; larger is nearer
"""
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
import diffusers  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from transformers import CLIPTokenizer  # noqa: E402

import configs  # noqa: E402
from models import seeded_module, seeded_modules  # noqa: E402
from schedulers import KEPT, scheduler_makers  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MINI = os.path.normpath(os.path.join(HERE, "..", "..", "model-loader", "mini", "model"))
VOCABULARY, HEIGHT, WIDTH = 1069, 64, 128
PROMPT, NEGATIVE = "a sunset over desert dunes with distant mountains", "night snow, a city skyline"
INSTRUCTION = "make it night"


def model_of(name, **unet):
    model = dict(configs.TINY[name])
    for encoder in ("text_encoder", "text_encoder_2"):
        if encoder in model:
            model[encoder] = dict(model[encoder], vocab_size=VOCABULARY)
    model["unet"] = dict(model["unet"], **unet)
    return model


def tokenizer(pad):
    return CLIPTokenizer.from_pretrained(MINI, subfolder="tokenizer", pad_token=pad)


def pictures():
    generator = np.random.Generator(np.random.PCG64(5))
    y, x = np.meshgrid(np.linspace(0, 1, HEIGHT), np.linspace(0, 1, WIDTH), indexing="ij")
    waves = np.stack([np.sin(9 * x + 3 * y), np.cos(7 * y - 2 * x * x), np.sin(20 * x * y)], -1)
    blocks = [generator.integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3)) for _ in range(2)]
    a, b = (np.repeat(np.repeat(v, 8, 0), 8, 1).astype(np.uint8) for v in blocks)
    return {
        "init.u8": (127.5 + 120 * waves).astype(np.uint8), "control.a.u8": a, "control.b.u8": b,
        "mask": ((x > 0.4) & (y > 0.3)).astype(np.float32),
        "depth": generator.standard_normal((HEIGHT // 8, WIDTH // 8)).astype(np.float32),
    }


def unit(values):
    """[H,W,3] bytes to the [1,3,H,W] in 0..1 that pipelines take."""
    return torch.from_numpy(values.astype(np.float32) / 255.0).permute(2, 0, 1)[None]


def mode_of_posterior(pipeline):
    import diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_depth2img as depth2img
    depth2img.retrieve_latents = lambda encoded, **_: encoded.latent_dist.mode()
    vae = pipeline.vae
    pipeline._encode_vae_image = lambda image, generator: vae.encode(image).latent_dist.mode() * vae.config.scaling_factor


def pipeline_of(cls, model, scheduler, controls=()):
    modules = seeded_modules(model, 0, "f16")
    nets = [seeded_module("controlnet", model["controlnet"], seed, "f16") for seed in controls]
    parts = dict(vae=modules["vae"], unet=modules["unet"], scheduler=scheduler, text_encoder=modules["text_encoder"])
    if model["kind"] == "sdxl":
        parts.update(tokenizer=tokenizer("<|endoftext|>"), tokenizer_2=tokenizer("!"), add_watermarker=False,
                     text_encoder_2=modules["text_encoder_2"], force_zeros_for_empty_prompt=True)
    elif "Depth" in cls:
        parts.update(tokenizer=tokenizer("!"), depth_estimator=None, feature_extractor=None)
    else:
        parts.update(tokenizer=tokenizer("!"), safety_checker=None, feature_extractor=None,
                     requires_safety_checker=False)
    if nets:
        parts["controlnet"] = nets if len(nets) > 1 else nets[0]
    pipeline = getattr(diffusers, cls)(**parts)
    pipeline.set_progress_bar_config(disable=True)
    mode_of_posterior(pipeline)
    return pipeline


def scheduler_of(config, name, options):
    base = {k: config[k] for k in KEPT if k in config}
    if name == "heun":
        return diffusers.HeunDiscreteScheduler(**base, **options)
    if name == "lcm":
        return diffusers.LCMScheduler(**base, clip_sample=False, set_alpha_to_one=False)
    return scheduler_makers(config)[name](**options)


def cases(shown):
    """name -> (pipeline class, model, sampler with its options, seeds, ControlNet seeds, call)"""
    a, b, init = (unit(shown[k]) for k in ("control.a.u8", "control.b.u8", "init.u8"))
    mask, depth = torch.from_numpy(shown["mask"])[None, None], torch.from_numpy(shown["depth"])[None]
    sdxl, sd, v = model_of("tiny-sdxl"), model_of("tiny-sd21"), model_of("tiny-sd21-v")
    leading, size = dict(timestep_spacing="leading"), dict(height=HEIGHT, width=WIDTH)
    both = dict(prompt=PROMPT, negative_prompt=NEGATIVE)
    inpaint, change = model_of("tiny-sd21", in_channels=9), model_of("tiny-ip2p")
    return {
        "sdxl.euler": ("StableDiffusionXLPipeline", sdxl, ("euler", leading), [7], [], dict(
            prompt=PROMPT, height=128, width=192, num_inference_steps=5, guidance_scale=5.0)),
        "sdxl.karras": ("StableDiffusionXLPipeline", sdxl, ("dpmpp2m_karras", leading), [11], [], dict(
            both, **size, num_inference_steps=7, guidance_scale=7.5, original_size=(512, 640),
            crops_coords_top_left=(8, 16), target_size=(80, 160))),
        "sdxl.batch": ("StableDiffusionXLPipeline", sdxl, ("euler_a", leading), [3, 4], [], dict(
            prompt=PROMPT, height=64, width=96, num_inference_steps=4, guidance_scale=5.0, num_images_per_prompt=2)),
        "sdxl.unguided": ("StableDiffusionXLPipeline", sdxl, ("ddim", {}), [5], [], dict(
            prompt=PROMPT, height=96, width=64, num_inference_steps=3, guidance_scale=1.0)),
        "v.ddim": ("StableDiffusionPipeline", v, ("ddim", dict(timestep_spacing="trailing")), [21], [], dict(
            both, **size, num_inference_steps=6, guidance_scale=7.5)),
        "control": ("StableDiffusionControlNetPipeline", model_of("tiny-controlnet"), ("ddim", {}), [7], [0], dict(
            both, image=a, num_inference_steps=5, guidance_scale=7.5, controlnet_conditioning_scale=0.8)),
        "control.two": ("StableDiffusionControlNetPipeline", model_of("tiny-controlnet"), ("euler", leading), [9],
                        [0, 1], dict(both, image=[a, b], num_inference_steps=6, guidance_scale=7.5,
                                     controlnet_conditioning_scale=[0.8, 0.5], control_guidance_start=[0.0, 0.25],
                                     control_guidance_end=[0.7, 1.0])),
        "control.sdxl": ("StableDiffusionXLControlNetPipeline", model_of("tiny-controlnet-sdxl"), ("euler", leading), [7],
                         [0], dict(prompt=PROMPT, image=b, num_inference_steps=4, guidance_scale=5.0,
                                   controlnet_conditioning_scale=0.7)),
        "inpaint": ("StableDiffusionInpaintPipeline", inpaint, ("ddim", {}), [7], [], dict(
            both, **size, image=init, mask_image=mask, num_inference_steps=5, guidance_scale=7.5, strength=1.0)),
        "inpaint.part": ("StableDiffusionInpaintPipeline", inpaint, ("ddim", {}), [8], [], dict(
            both, **size, image=init, mask_image=mask, num_inference_steps=10, guidance_scale=7.5, strength=0.6)),
        "depth": ("StableDiffusionDepth2ImgPipeline", model_of("tiny-sd21", in_channels=5), ("ddim", {}), [7], [], dict(
            both, image=init, depth_map=depth, num_inference_steps=10, guidance_scale=7.5, strength=0.7)),
        "edit": ("StableDiffusionInstructPix2PixPipeline", change, ("euler_a", leading), [7], [], dict(
            prompt=INSTRUCTION, image=init, num_inference_steps=5, guidance_scale=7.5, image_guidance_scale=1.5)),
        **{f"sd.{name}": ("StableDiffusionPipeline", sd, (name, {} if name == "pndm" else leading), [2], [], dict(
            both, **size, num_inference_steps=5, guidance_scale=7.5)) for name in ("unipc", "pndm", "heun", "lcm")},
        "v.unipc": ("StableDiffusionPipeline", v, ("unipc", leading), [3], [], dict(
            both, **size, num_inference_steps=7, guidance_scale=7.5)),
        "sd": ("StableDiffusionPipeline", sd, ("dpmpp2m", leading), [2], [], dict(
            both, **size, num_inference_steps=8, guidance_scale=7.5)),
    }


@torch.no_grad()
def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "jobs")
    torch.set_num_threads(1)
    shown = pictures()
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in shown.items()}
    for name, (cls, model, (sampler, options), seeds, controls, call) in cases(shown).items():
        scheduler = scheduler_of(model["scheduler"], sampler, options)
        pipeline = pipeline_of(cls, model, scheduler, controls)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        latents = pipeline(generator=generators if len(seeds) > 1 else generators[0], output_type="latent", **call).images
        assert torch.isfinite(latents).all(), name
        tensors[name + ".latents"] = latents.float().contiguous()
        if name in ("sdxl.euler", "control"):
            decoded = pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample
            tensors[name + ".image.u8"] = ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        print(name, tuple(latents.shape), f"rms {latents.pow(2).mean().sqrt():.3f}")
    os.makedirs(out, exist_ok=True)
    save_file(tensors, out + "/jobs.safetensors")


if __name__ == "__main__":
    main()
