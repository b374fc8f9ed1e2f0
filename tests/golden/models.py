"""Model directories in diffusers layout with the seeded weights of weights.py."""
import hashlib
import json
import os

import torch

from weights import DTYPES, weight

COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2", "controlnet")
PIPELINES = {
    "sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline",
    "ip2p": "StableDiffusionInstructPix2PixPipeline",
}


def published_key(component, key):
    """The key in published files: text encoders carry the prefix text_model., newer transformers drop it."""
    if not component.startswith("text") or key.startswith(("text_model.", "text_projection")):
        return key
    return "text_model." + key


def text_config(config):
    from transformers import CLIPTextConfig
    dropped = ("torch_dtype", "transformers_version", "architectures")
    return CLIPTextConfig(**{k: v for k, v in config.items() if k not in dropped})


def empty_module(component, config):
    """The module without memory for its weights."""
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection
    makers = {
        "unet": lambda: UNet2DConditionModel.from_config(config),
        "vae": lambda: AutoencoderKL.from_config(config),
        "controlnet": lambda: ControlNetModel.from_config(config),
        "text_encoder": lambda: CLIPTextModel(text_config(config)),
        "text_encoder_2": lambda: CLIPTextModelWithProjection(text_config(config)),
    }
    with torch.device("meta"):
        return makers[component]()


def seeded_module(component, config, seed, store):
    """f32 computation on the seeded weights rounded to the storage type."""
    module = empty_module(component, config)
    state = {}
    for key, value in module.state_dict().items():
        exact = weight(seed, component, published_key(component, key), tuple(value.shape))
        state[key] = exact.to(DTYPES[store]).to(torch.float32)
    module.load_state_dict(state, assign=True, strict=True)
    module.eval().requires_grad_(False)
    for name, buffer in module.named_buffers():     # buffers that are not in the state are still without memory
        if buffer.device.type == "meta":
            assert name.endswith("position_ids"), name
            module.get_submodule(name.rsplit(".", 1)[0]).position_ids = torch.arange(buffer.shape[-1])[None]
    return module


def seeded_modules(model, seed, store, needed=COMPONENTS):
    return {c: seeded_module(c, model[c], seed, store) for c in COMPONENTS if c in model and c in needed}


def pipeline_name(model):
    name = PIPELINES[model["kind"]]
    return name.replace("Pipeline", "ControlNetPipeline") if "controlnet" in model else name


def model_index(model):
    index = {
        "_class_name": pipeline_name(model), "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", model["scheduler"]["_class_name"]], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": [None, None],
    }
    if "text_encoder_2" in model:
        index.update(
            text_encoder_2=["transformers", "CLIPTextModelWithProjection"], tokenizer_2=[None, None],
            force_zeros_for_empty_prompt=True)
    else:
        index.update(safety_checker=[None, None], feature_extractor=[None, None], requires_safety_checker=False)
    if "controlnet" in model:
        index["controlnet"] = ["diffusers", "ControlNetModel"]
    return index


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def save_model(out, model, modules, store, with_weights):
    from safetensors.torch import save_file
    write_json(f"{out}/model_index.json", model_index(model))
    write_json(f"{out}/scheduler/scheduler_config.json", model["scheduler"])
    for component in (c for c in COMPONENTS if c in model):
        write_json(f"{out}/{component}/config.json", model[component])
        if with_weights:
            name = "model" if component.startswith("text") else "diffusion_pytorch_model"
            state = modules[component].state_dict().items()
            tensors = {published_key(component, k): v.to(DTYPES[store]).contiguous() for k, v in state}
            save_file(tensors, f"{out}/{component}/{name}.safetensors", metadata={"format": "pt"})


def weights_digest(component, module, store):
    """First 32 hex digits of SHA-256 over the stored bits of all tensors in order of their published keys."""
    tensors = sorted((published_key(component, k), v.float()) for k, v in module.state_dict().items())
    bits = torch.int32 if store == "f32" else torch.int16
    digest = hashlib.sha256()
    for _, value in tensors:
        digest.update(value.to(DTYPES[store]).contiguous().view(bits).numpy().tobytes())
    return digest.hexdigest()[:32]
