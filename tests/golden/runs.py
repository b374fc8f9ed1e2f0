"""Inputs of a golden and the reference runs that give its expected tensors."""
import time

import numpy as np
import torch

from models import pipeline_name
from schedulers import record_noise, scheduler_makers

CONTROL_SCALE, GUIDANCE, GUIDANCE_XL, IMAGE_GUIDANCE = 0.8, 7.5, 5.0, 1.5


def vae_factor(model):
    return 2 ** (len(model["vae"]["block_out_channels"]) - 1)


def token_ids(generator, vocabulary, count, pad):
    start, end = vocabulary - 2, vocabulary - 1
    ids = [start] + [int(x) for x in generator.integers(1, vocabulary - 2, count)] + [end]
    ids += [end if pad is None else pad] * (77 - len(ids))
    return torch.tensor([ids], dtype=torch.int32)


def second_ids(ids, end, pad):
    """The same tokens with the other tokenizer's padding."""
    ids = ids.clone()
    first_end = int((ids[0] == end).nonzero()[0])
    ids[0, first_end + 1:] = pad
    return ids


def test_picture(generator, height, width):
    """Smooth waves with a little noise, 3 x height x width in -1..1."""
    y, x = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij")
    waves = np.stack([np.sin(9 * x + 3 * y), np.cos(7 * y - 2 * x * x), np.sin(20 * x * y)])
    picture = waves + 0.1 * generator.standard_normal((3, height, width))
    return torch.from_numpy(np.clip(picture, -1, 1).astype(np.float32))[None]


def make_inputs(model, seed, hw, steps):
    """Every input tensor. The order of the draws is part of the format."""
    generator = np.random.Generator(np.random.PCG64(1000 + seed))

    def normal(*shape):
        return torch.from_numpy(generator.standard_normal(shape).astype(np.float32))

    (h, w), factor, vocabulary = hw, vae_factor(model), model["text_encoder"]["vocab_size"]
    inputs = {
        "ids.cond": token_ids(generator, vocabulary, 9, model["pad"]),
        "ids.uncond": token_ids(generator, vocabulary, 0, model["pad"]),
    }
    if "text_encoder_2" in model:
        for half in ("cond", "uncond"):
            inputs["ids2." + half] = second_ids(inputs["ids." + half], vocabulary - 1, model["pad2"])
    inputs["latents"] = normal(1, 4, h, w)
    inputs["unet.sample"] = normal(2, model["unet"]["in_channels"], h, w)
    inputs["vae.latents"] = normal(1, 4, h // 2, w // 2)
    inputs["vae.image"] = test_picture(generator, h * factor // 2, w * factor // 2)
    if "controlnet" in model:
        blocks = generator.integers(0, 256, (1, 3, h * factor // 4, w * factor // 4), dtype=np.uint8)
        inputs["control.image.u8"] = torch.from_numpy(np.repeat(np.repeat(blocks, 4, 2), 4, 3).copy())
    if model["kind"] == "ip2p":
        index = np.arange(3 * h * factor * w * factor).reshape(1, 3, h * factor, w * factor)
        inputs["ip2p.image.u8"] = torch.from_numpy((127.5 + 127.5 * np.sin(index * 0.0137)).astype(np.uint8))
    inputs["sched.x0"] = normal(1, 4, 6, 5)
    inputs["sched.model_out"] = normal(steps + 3, 1, 4, 6, 5)
    return inputs


class Taps:
    """Records the outputs of inner modules for the conditional half of the batch."""

    SINGLE = ("conv_in", "time_embedding", "add_embedding", "mid_block", "conv_norm_out")

    def __init__(self, module, record, prefix):
        self.record, self.prefix, self.hooks = record, prefix, []
        for name in self.SINGLE:
            self.add(name, getattr(module, name, None))
        for group in ("down_blocks", "up_blocks"):
            for i, block in enumerate(getattr(module, group, [])):
                self.add(f"{group}.{i}", block)
                for inner in ("resnets", "attentions"):
                    if getattr(block, inner, None):
                        self.add(f"{group}.{i}.{inner}.0", getattr(block, inner)[0])

    def add(self, name, module):
        if module is None:
            return

        def hook(_, __, output):
            output = output[0] if isinstance(output, tuple) else output
            self.record[f"{self.prefix}.{name}"] = getattr(output, "sample", output).detach()[-1:]

        self.hooks.append(module.register_forward_hook(hook))

    def remove(self):
        for hook in self.hooks:
            hook.remove()


class Reference:
    """One golden's reference computation in one floating point type."""

    def __init__(self, model, modules, inputs, hw, steps, dtype):
        self.model, self.modules, self.hw, self.steps, self.dtype = model, modules, hw, steps, dtype
        self.inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
        for name in ("control.image", "ip2p.image"):
            if name + ".u8" in inputs:
                self.inputs[name] = (inputs[name + ".u8"].to(torch.float32) / 255.0).to(dtype)
        self.expected, self.taps, self.times, self.drawn = {}, {}, {}, None

    @torch.no_grad()
    def run(self, parts, with_taps):
        for part, work in (("text", self.text), ("unet", lambda: self.unet(with_taps)), ("vae", self.vae)):
            start = time.time()
            if part == "text" or part in parts:
                work()
            if part == "text" and "text" not in parts:
                self.expected.clear()
            self.times[part + "_s"] = round(time.time() - start, 2)
        if "traj" in parts:
            self.trajectories(with_image="vae" in parts)

    def text(self):
        self.embeds = {}
        for half in ("cond", "uncond"):
            out = self.modules["text_encoder"](self.inputs["ids." + half].long(), output_hidden_states=True)
            self.expected[f"te.{half}.last_hidden_state"] = out.last_hidden_state
            self.expected[f"te.{half}.pooled"] = out.pooler_output
            self.expected[f"te.{half}.penultimate"] = out.hidden_states[-2]
            if self.model["kind"] != "sdxl":
                self.embeds[half] = out.last_hidden_state
                continue
            out2 = self.modules["text_encoder_2"](self.inputs["ids2." + half].long(), output_hidden_states=True)
            self.expected[f"te2.{half}.penultimate"] = out2.hidden_states[-2]
            self.expected[f"te2.{half}.text_embeds"] = out2.text_embeds
            self.embeds[half] = torch.cat([out.hidden_states[-2], out2.hidden_states[-2]], -1)
            self.embeds[half + ".pooled"] = out2.text_embeds
            self.expected[f"{half}.prompt_embeds"] = self.embeds[half]

    def added_conditions(self):
        """SDXL's pooled text and size numbers, or None."""
        if self.model["kind"] != "sdxl":
            return None
        height, width = self.hw[0] * 8, self.hw[1] * 8
        return {
            "text_embeds": torch.cat([self.embeds["uncond.pooled"], self.embeds["cond.pooled"]]),
            "time_ids": torch.tensor([[height, width, 0, 0, height, width]] * 2, dtype=self.dtype),
        }

    def unet(self, with_taps):
        states = torch.cat([self.embeds["uncond"], self.embeds["cond"]])
        added, residuals, residuals_1 = self.added_conditions(), {}, {}
        if "controlnet" in self.model:
            residuals, residuals_1 = self.controlnet(states, added, with_taps)
        taps = Taps(self.modules["unet"], self.taps, "unet") if with_taps and not residuals else None
        unet, sample = self.modules["unet"], self.inputs["unet.sample"]
        self.expected["unet.out.t601"] = unet(
            sample, 601, states, added_cond_kwargs=added, return_dict=False, **residuals)[0]
        if taps:
            taps.remove()
        added_1 = None if added is None else {k: v[1:] for k, v in added.items()}
        self.expected["unet.out.t1.b1"] = unet(
            sample[1:], 1, states[1:], added_cond_kwargs=added_1, return_dict=False, **residuals_1)[0]

    def controlnet(self, states, added, with_taps):
        """Residual arguments for the UNet: of both rows and of the conditional row alone."""
        taps = Taps(self.modules["controlnet"], self.taps, "controlnet") if with_taps else None
        down, mid = self.modules["controlnet"](
            self.inputs["unet.sample"], 601, states, torch.cat([self.inputs["control.image"]] * 2),
            conditioning_scale=CONTROL_SCALE, added_cond_kwargs=added, return_dict=False)
        if taps:
            taps.remove()
        for i, residual in enumerate(down):
            self.expected[f"controlnet.down.{i:02d}"] = residual[1:]
        self.expected["controlnet.mid"] = mid[1:]
        names = ("down_block_additional_residuals", "mid_block_additional_residual")
        return dict(zip(names, (down, mid))), dict(zip(names, ([x[1:] for x in down], mid[1:])))

    def vae(self):
        posterior = self.modules["vae"].encode(self.inputs["vae.image"]).latent_dist
        self.expected["vae.enc.mean"], self.expected["vae.enc.logvar"] = posterior.mean, posterior.logvar
        self.expected["vae.dec"] = self.modules["vae"].decode(self.inputs["vae.latents"]).sample

    def trajectories(self, with_image):
        names = ["ddim", "euler", "dpmpp2m"]
        if self.model["kind"] == "ip2p":
            names = ["euler_a"] + names
        for i, name in enumerate(names):
            start = time.time()
            final = self.trajectory(name)
            if i == 0 and with_image:
                self.expected[f"traj.{name}.image.u8"] = self.picture(final)
            self.times[f"traj_{name}_s"] = round(time.time() - start, 2)
        if self.model["kind"] == "ip2p":
            posterior = self.modules["vae"].encode(2 * self.inputs["ip2p.image"] - 1).latent_dist
            self.expected["ip2p.image_latents"] = posterior.mode()

    def picture(self, latents):
        vae = self.modules["vae"]
        decoded = vae.decode(latents / vae.config.scaling_factor).sample
        return ((decoded / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)

    def trajectory(self, name):
        """A whole run of diffusers' own pipeline; returns its last latents."""
        drawn, latents, timesteps = record_noise(), [], []

        def after_step(_, __, t, state):
            latents.append(state["latents"].clone())
            timesteps.append(float(t))
            return {}

        import diffusers
        parts, call = self.pipeline_arguments(scheduler_makers(self.model["scheduler"])[name]())
        pipeline = getattr(diffusers, pipeline_name(self.model))(**parts)
        pipeline.set_progress_bar_config(disable=True)
        final = pipeline(callback_on_step_end=after_step, callback_on_step_end_tensor_inputs=["latents"], **call).images
        self.expected[f"traj.{name}.latents"] = torch.cat(latents)
        self.expected[f"traj.{name}.timesteps"] = torch.tensor(timesteps)
        if drawn:
            self.drawn = torch.cat(drawn)
        return final

    def pipeline_arguments(self, scheduler):
        """(components, call arguments)"""
        modules, embeds, factor = self.modules, self.embeds, vae_factor(self.model)
        parts = dict(vae=modules["vae"], text_encoder=modules["text_encoder"], tokenizer=None, unet=modules["unet"],
                     scheduler=scheduler)
        call = dict(prompt_embeds=embeds["cond"], negative_prompt_embeds=embeds["uncond"],
                    latents=self.inputs["latents"].clone(), num_inference_steps=self.steps, guidance_scale=GUIDANCE,
                    output_type="latent")
        if self.model["kind"] == "sdxl":
            parts.update(text_encoder_2=modules["text_encoder_2"], tokenizer_2=None, add_watermarker=False)
            call.update(pooled_prompt_embeds=embeds["cond.pooled"], guidance_scale=GUIDANCE_XL,
                        negative_pooled_prompt_embeds=embeds["uncond.pooled"])
        else:
            parts.update(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
        if "controlnet" in self.model:
            parts["controlnet"] = modules["controlnet"]
            call.update(image=self.inputs["control.image"], controlnet_conditioning_scale=CONTROL_SCALE)
        if self.model["kind"] == "ip2p":
            call.update(image=self.inputs["ip2p.image"], image_guidance_scale=IMAGE_GUIDANCE)
        else:
            call.update(height=self.hw[0] * factor, width=self.hw[1] * factor)
        return parts, call
