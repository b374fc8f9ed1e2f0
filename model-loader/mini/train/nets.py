"""The architectures, from zero.

norm_num_groups is small on purpose: with 8 groups of 16 channels GroupNorm destroys absolute colour.
"""
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

SCALE = 0.18215


def make_vae():
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, block_out_channels=[16, 32, 48, 64],
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4, norm_num_groups=2,
        sample_size=128, scaling_factor=SCALE)


def make_unet():
    """Residual branches start at zero."""
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=[48, 64, 128, 128],
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        cross_attention_dim=64, attention_head_dim=[3, 2, 4, 4], use_linear_projection=True, norm_num_groups=4,
        norm_eps=1e-5, act_fn="silu", center_input_sample=False, flip_sin_to_cos=True, freq_shift=0)
    with torch.no_grad():
        for name, weight in unet.named_parameters():
            if ".conv2." in name or ".proj_out." in name or name.startswith("conv_out."):
                weight.zero_()
    return unet


def make_text_encoder(tokenizer):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=256, projection_dim=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=77, hidden_act="gelu", bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))


@torch.no_grad()
def start_as_pooling(vae):
    """Residual branches near zero, down = 2x2 mean, up = nearest neighbour: a nearly linear autoencoder to begin with."""
    for name, w in vae.named_parameters():
        if ".conv2.weight" in name or "to_out.0.weight" in name:
            w.mul_(.05)
        elif ".conv2.bias" in name or "to_out.0.bias" in name:
            w.zero_()
        elif "downsamplers" in name and name.endswith("weight"):
            w.mul_(.15)
            for c in range(w.shape[0]):
                w[c, c, 0:2, 0:2] += .25
        elif "upsamplers" in name and name.endswith("weight"):
            w.mul_(.15)
            for c in range(w.shape[0]):
                w[c, c, 1, 1] += 1
        elif "conv_shortcut.weight" in name:
            orthogonal = nn.init.orthogonal_(torch.zeros(w.shape[0], w.shape[1]))
            w.copy_(orthogonal[..., None, None] * max(1, w.shape[0] / w.shape[1]) ** .5)
        elif name in ("encoder.conv_in.weight", "decoder.conv_in.weight"):
            w.mul_(.3)
            w[:, :, 1, 1] += torch.randn(w.shape[0], w.shape[1]) * (.6 if name.startswith("encoder") else .5)
        elif name in ("encoder.conv_in.bias", "decoder.conv_in.bias"):
            w.copy_(torch.randn_like(w) * .7)
    return vae


@torch.no_grad()
def standardise_latents(vae, pictures):
    """Absorb a per-channel affine into quant_conv and post_quant_conv: latents * SCALE get mean 0 and deviation 1."""
    z = torch.cat([vae.encode(pictures[i:i + 25]).latent_dist.mean for i in range(0, len(pictures), 25)])
    mean, deviation = z.mean((0, 2, 3)), z.std((0, 2, 3)) * SCALE
    quant, post = vae.quant_conv, vae.post_quant_conv
    weight, bias = quant.weight[:, :, 0, 0].clone(), quant.bias.clone()
    weight[:4] /= deviation[:, None]
    bias[:4] = (bias[:4] - mean) / deviation
    bias[4:] -= 2 * torch.log(deviation)
    quant.weight.copy_(weight[..., None, None])
    quant.bias.copy_(bias)
    mixing = post.weight[:, :, 0, 0].clone()
    post.bias.add_(mixing @ mean)
    post.weight.copy_((mixing * deviation[None])[..., None, None])
