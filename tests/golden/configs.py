"""The model configurations goldens are made for: the published config.json contents and small ones of the same form."""

CROSS_DOWN = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"]
CROSS_UP = ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3

# ---------------------------------------------------------------- published configurations
VAE_SD = {
    "_class_name": "AutoencoderKL", "_diffusers_version": "0.10.0.dev0", "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512], "down_block_types": ["DownEncoderBlock2D"] * 4, "in_channels": 3,
    "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3, "sample_size": 768,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
VAE_XL = dict(
    VAE_SD, _diffusers_version="0.20.0.dev0", _name_or_path="../sdxl-vae/", force_upcast=True, sample_size=1024,
    scaling_factor=0.13025)
UNET_SD21_BASE = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.10.0.dev0", "act_fn": "silu",
    "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": False,
    "cross_attention_dim": 1024, "down_block_types": CROSS_DOWN, "downsample_padding": 1,
    "dual_cross_attention": False, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
    "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "num_class_embeds": None,
    "only_cross_attention": False, "out_channels": 4, "sample_size": 64, "up_block_types": CROSS_UP,
    "use_linear_projection": True,
}
UNET_SD21 = dict(UNET_SD21_BASE, sample_size=96, upcast_attention=True)
UNET_IP2P = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.12.0.dev0", "act_fn": "silu",
    "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": False,
    "class_embed_type": None, "cross_attention_dim": 768, "down_block_types": CROSS_DOWN, "downsample_padding": 1,
    "dual_cross_attention": False, "flip_sin_to_cos": True, "freq_shift": 0, "in_channels": 8, "layers_per_block": 2,
    "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05,
    "norm_num_groups": 32, "num_class_embeds": None, "only_cross_attention": False, "out_channels": 4,
    "resnet_time_scale_shift": "default", "sample_size": 64, "up_block_types": CROSS_UP, "upcast_attention": False,
    "use_linear_projection": False,
}
UNET_XL = {
    "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.19.0.dev0", "act_fn": "silu",
    "addition_embed_type": "text_time", "addition_embed_type_num_heads": 64, "addition_time_embed_dim": 256,
    "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280], "center_input_sample": False,
    "class_embed_type": None, "class_embeddings_concat": False, "conv_in_kernel": 3, "conv_out_kernel": 3,
    "cross_attention_dim": 2048, "cross_attention_norm": None,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "downsample_padding": 1,
    "dual_cross_attention": False, "encoder_hid_dim": None, "encoder_hid_dim_type": None, "flip_sin_to_cos": True,
    "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_only_cross_attention": None,
    "mid_block_scale_factor": 1, "mid_block_type": "UNetMidBlock2DCrossAttn", "norm_eps": 1e-05,
    "norm_num_groups": 32, "num_attention_heads": None, "num_class_embeds": None, "only_cross_attention": False,
    "out_channels": 4, "projection_class_embeddings_input_dim": 2816, "resnet_out_scale_factor": 1.0,
    "resnet_skip_time_act": False, "resnet_time_scale_shift": "default", "sample_size": 128,
    "time_cond_proj_dim": None, "time_embedding_act_fn": None, "time_embedding_dim": None,
    "time_embedding_type": "positional", "timestep_post_act": None, "transformer_layers_per_block": [1, 2, 10],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "upcast_attention": None,
    "use_linear_projection": True,
}
CONTROLNET_SD21 = {
    "_class_name": "ControlNetModel", "_diffusers_version": "0.14.0", "act_fn": "silu",
    "attention_head_dim": [5, 10, 20, 20], "block_out_channels": [320, 640, 1280, 1280], "class_embed_type": None,
    "conditioning_embedding_out_channels": [16, 32, 96, 256], "controlnet_conditioning_channel_order": "rgb",
    "cross_attention_dim": 1024, "down_block_types": CROSS_DOWN, "downsample_padding": 1, "flip_sin_to_cos": True,
    "freq_shift": 0, "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1, "norm_eps": 1e-05,
    "norm_num_groups": 32, "num_class_embeds": None, "only_cross_attention": False,
    "projection_class_embeddings_input_dim": None, "resnet_time_scale_shift": "default", "upcast_attention": False,
    "use_linear_projection": True,
}
CONTROLNET_XL = {
    "_class_name": "ControlNetModel", "_diffusers_version": "0.20.0.dev0", "_name_or_path": "valhalla/depth-2",
    "act_fn": "silu", "addition_embed_type": "text_time", "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": 256, "attention_head_dim": [5, 10, 20], "block_out_channels": [320, 640, 1280],
    "class_embed_type": None, "conditioning_channels": 3, "conditioning_embedding_out_channels": [16, 32, 96, 256],
    "controlnet_conditioning_channel_order": "rgb", "cross_attention_dim": 2048,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "downsample_padding": 1,
    "encoder_hid_dim": None, "encoder_hid_dim_type": None, "flip_sin_to_cos": True, "freq_shift": 0,
    "global_pool_conditions": False, "in_channels": 4, "layers_per_block": 2, "mid_block_scale_factor": 1,
    "norm_eps": 1e-05, "norm_num_groups": 32, "num_attention_heads": None, "num_class_embeds": None,
    "only_cross_attention": False, "projection_class_embeddings_input_dim": 2816,
    "resnet_time_scale_shift": "default", "transformer_layers_per_block": [1, 2, 10], "upcast_attention": None,
    "use_linear_projection": True,
}
TEXT_SD21 = {
    "architectures": ["CLIPTextModel"], "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0,
    "eos_token_id": 2, "hidden_act": "gelu", "hidden_size": 1024, "initializer_factor": 1.0,
    "initializer_range": 0.02, "intermediate_size": 4096, "layer_norm_eps": 1e-05, "max_position_embeddings": 77,
    "model_type": "clip_text_model", "num_attention_heads": 16, "num_hidden_layers": 23, "pad_token_id": 1,
    "projection_dim": 512, "torch_dtype": "float32", "transformers_version": "4.25.0.dev0", "vocab_size": 49408,
}
TEXT_CLIP_L = dict(
    TEXT_SD21, hidden_act="quick_gelu", hidden_size=768, intermediate_size=3072, num_attention_heads=12,
    num_hidden_layers=12, projection_dim=768, torch_dtype="float16", transformers_version="4.32.0.dev0")
TEXT_BIG_G = dict(
    TEXT_SD21, architectures=["CLIPTextModelWithProjection"], hidden_size=1280, intermediate_size=5120,
    num_attention_heads=20, num_hidden_layers=32, projection_dim=1280, torch_dtype="float16",
    transformers_version="4.32.0.dev0")
SCHEDULER_XL = {
    "_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0", "beta_end": 0.012,
    "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False, "interpolation_type": "linear",
    "num_train_timesteps": 1000, "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": None,
    "use_karras_sigmas": False,
}


def scheduler_sd(class_name, version, **changes):
    config = {
        "_class_name": class_name, "_diffusers_version": version, "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False, "num_train_timesteps": 1000,
        "prediction_type": "epsilon", "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1,
        "trained_betas": None,
    }
    return dict(config, **changes)


SCHEDULER_EPS = scheduler_sd("DDIMScheduler", "0.10.0.dev0")
SCHEDULER_V = scheduler_sd("DDIMScheduler", "0.10.0.dev0", prediction_type="v_prediction")
SCHEDULER_IP2P = scheduler_sd("EulerAncestralDiscreteScheduler", "0.12.0.dev0")

# ---------------------------------------------------------------- small configurations


def tiny_text(**changes):
    config = dict(
        TEXT_SD21, hidden_size=32, intermediate_size=64, num_attention_heads=4, num_hidden_layers=3, vocab_size=1000,
        projection_dim=32)
    return dict(config, **changes)


TINY_CHANNELS = dict(block_out_channels=[8, 16, 24, 24], norm_num_groups=4, cross_attention_dim=32)
TINY_HEADS = [1, 2, 3, 3]
TINY_HINT = [8, 8, 16, 16]
TINY_XL = dict(
    block_out_channels=[8, 16, 24], attention_head_dim=[1, 2, 3], cross_attention_dim=80, norm_num_groups=4,
    transformer_layers_per_block=[1, 2, 3], addition_time_embed_dim=8, projection_class_embeddings_input_dim=96)
TINY_VAE_SIZES = dict(block_out_channels=[8, 12, 16, 16], norm_num_groups=4, sample_size=128)

TINY_UNET = dict(UNET_SD21_BASE, **TINY_CHANNELS, attention_head_dim=TINY_HEADS, sample_size=16)
TINY_UNET_IP2P = dict(UNET_IP2P, **TINY_CHANNELS, attention_head_dim=2, sample_size=16)
TINY_UNET_XL = dict(UNET_XL, **TINY_XL, sample_size=16)
TINY_VAE = dict(VAE_SD, **TINY_VAE_SIZES)
TINY_VAE_XL = dict(VAE_XL, **TINY_VAE_SIZES)
TINY_CONTROLNET = dict(
    CONTROLNET_SD21, **TINY_CHANNELS, attention_head_dim=TINY_HEADS, conditioning_embedding_out_channels=TINY_HINT)
TINY_CONTROLNET_XL = dict(CONTROLNET_XL, **TINY_XL, conditioning_embedding_out_channels=TINY_HINT)
TINY_TEXT_1 = tiny_text(hidden_act="quick_gelu")
TINY_TEXT_2 = tiny_text(
    hidden_size=48, num_attention_heads=6, intermediate_size=80, projection_dim=48,
    architectures=["CLIPTextModelWithProjection"])
# the shapes of the small dummy Stable Diffusion that the diffusers test suite uses
DUMMY_UNET = dict(
    UNET_SD21_BASE, block_out_channels=[32, 64], attention_head_dim=[2, 4], cross_attention_dim=32, sample_size=32,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"], up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"])
DUMMY_VAE = dict(
    VAE_SD, block_out_channels=[32, 64], down_block_types=["DownEncoderBlock2D"] * 2,
    up_block_types=["UpDecoderBlock2D"] * 2, sample_size=128)

# kind: sd, sdxl or ip2p. pad: padding token id of the first tokenizer (None: the end-of-text token), pad2: of the second.
TINY_XL_MODEL = dict(
    kind="sdxl", unet=TINY_UNET_XL, vae=TINY_VAE_XL, text_encoder=TINY_TEXT_1, text_encoder_2=TINY_TEXT_2,
    scheduler=SCHEDULER_XL, pad=None, pad2=0)
TINY_SD_MODEL = dict(kind="sd", unet=TINY_UNET, vae=TINY_VAE, text_encoder=tiny_text(), scheduler=SCHEDULER_EPS, pad=0)
TINY = {
    "tiny-sd21": TINY_SD_MODEL,
    "tiny-sd21-v": dict(TINY_SD_MODEL, scheduler=SCHEDULER_V, parts="text,unet,sched,traj"),
    "tiny-sdxl": TINY_XL_MODEL,
    "tiny-controlnet": dict(TINY_SD_MODEL, controlnet=TINY_CONTROLNET),
    "tiny-controlnet-sdxl": dict(TINY_XL_MODEL, controlnet=TINY_CONTROLNET_XL),
    "tiny-ip2p": dict(
        kind="ip2p", unet=TINY_UNET_IP2P, vae=TINY_VAE, text_encoder=TINY_TEXT_1, scheduler=SCHEDULER_IP2P, pad=None),
    "hf-tiny-sd": dict(
        kind="sd", unet=DUMMY_UNET, vae=DUMMY_VAE, scheduler=SCHEDULER_EPS, pad=0,
        text_encoder=tiny_text(intermediate_size=37, num_hidden_layers=5)),
}
SD21_MODEL = dict(
    kind="sd", unet=UNET_SD21_BASE, vae=VAE_SD, text_encoder=TEXT_SD21, scheduler=SCHEDULER_EPS, pad=0, hw=(64, 64))
XL_MODEL = dict(
    kind="sdxl", unet=UNET_XL, vae=VAE_XL, text_encoder=TEXT_CLIP_L, text_encoder_2=TEXT_BIG_G,
    scheduler=SCHEDULER_XL, pad=None, pad2=0, hw=(128, 128))
FULL = {
    "sd21-base": SD21_MODEL,
    "sd21-768": dict(SD21_MODEL, unet=UNET_SD21, scheduler=SCHEDULER_V, hw=(96, 96)),
    "sdxl": XL_MODEL,
    "controlnet-sd21": dict(SD21_MODEL, controlnet=CONTROLNET_SD21),
    "controlnet-sdxl": dict(XL_MODEL, controlnet=CONTROLNET_XL),
    "ip2p": dict(
        kind="ip2p", unet=UNET_IP2P, vae=dict(VAE_SD, sample_size=512), text_encoder=TEXT_CLIP_L,
        scheduler=SCHEDULER_IP2P, pad=None, hw=(64, 64)),
}
ALL = {**TINY, **FULL}
