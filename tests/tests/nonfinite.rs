//! A NaN planted in any layer's weights is traced to that layer.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::Path;

use safetensors::SafeTensors;
use syncline::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel, UNetInputs, Wrap};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, GpuError, Recorder, Recording};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::{ModelSource, Weights};

/// One layer of each kind and place; a prefix of the tensor's name.
const UNET: [&str; 22] = [
    "conv_in.bias",
    "time_embedding.linear_1.weight",
    "time_embedding.linear_2.bias",
    "down_blocks.0.resnets.0.norm1.weight",
    "down_blocks.0.resnets.1.conv1.weight",
    "down_blocks.0.resnets.0.time_emb_proj.weight",
    "down_blocks.0.attentions.0.norm.bias",
    "down_blocks.0.attentions.1.proj_in.weight",
    "down_blocks.1.attentions.0.transformer_blocks.0.norm1.weight",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight",
    "down_blocks.1.attentions.1.transformer_blocks.0.attn1.to_v.weight",
    "down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "down_blocks.2.attentions.0.transformer_blocks.0.attn2.to_out.0.bias",
    "down_blocks.2.attentions.1.transformer_blocks.0.ff.net.0.proj.weight",
    "down_blocks.1.resnets.0.conv_shortcut.weight",
    "down_blocks.1.downsamplers.0.conv.weight",
    "mid_block.resnets.1.norm2.bias",
    "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight",
    "up_blocks.1.resnets.2.conv_shortcut.bias",
    "up_blocks.0.upsamplers.0.conv.weight",
    "up_blocks.3.attentions.2.proj_out.weight",
    "conv_out.weight",
];

const VAE: [&str; 8] = [
    "encoder.down_blocks.0.downsamplers.0.conv.weight",
    "encoder.mid_block.attentions.0.to_k.weight",
    "encoder.conv_norm_out.weight",
    "quant_conv.weight",
    "post_quant_conv.bias",
    "decoder.mid_block.attentions.0.group_norm.weight",
    "decoder.up_blocks.2.resnets.0.conv_shortcut.weight",
    "decoder.conv_out.bias",
];

const TEXT: [&str; 5] = [
    "text_model.embeddings.position_embedding.weight",
    "text_model.encoder.layers.0.self_attn.v_proj.weight",
    "text_model.encoder.layers.1.layer_norm2.bias",
    "text_model.encoder.layers.2.mlp.fc1.weight",
    "text_model.final_layer_norm.weight",
];

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/tiny-sd21-s0")
}

/// The stored f16 weights with a NaN in the middle of one tensor.
fn poisoned(file: &str, tensor: &str) -> Weights {
    let mut bytes = std::fs::read(directory().join(file)).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let data = parsed.tensor(tensor).unwrap().data();
    let at = data.as_ptr() as usize - bytes.as_ptr() as usize + data.len() / 4 * 2;
    bytes[at..at + 2].copy_from_slice(&0x7e00u16.to_le_bytes());
    Weights::from_bytes(file, bytes).unwrap().allow_nonfinite(true)
}

/// The layer's checkpoint key: the tensor's name without `weight` or `bias`.
fn layer_of(tensor: &str) -> &str {
    match tensor.strip_prefix("text_model.embeddings.") {
        // Tokens and positions are looked up in one launch.
        Some(_) => "text_model.embeddings",
        None => tensor.rsplit_once('.').unwrap().0,
    }
}

fn assert_found(tensor: &str, recording: &mut Recording) {
    recording.run().unwrap();
    match recording.find_nonfinite().unwrap() {
        Some(GpuError::NonFinite { layer, count, .. }) => {
            let found = layer.split(' ').next().unwrap();
            assert!(found == layer_of(tensor) && count > 0, "{tensor}: {layer} was named");
        }
        other => panic!("{tensor}: {other:?}"),
    }
}

fn finished(mut rec: Recorder, output: &Tensor) -> Recording {
    rec.keep(output).unwrap();
    rec.finish().unwrap()
}

fn noise(ctx: &Context, dims: &[usize]) -> Tensor {
    let mut draw = Draw::new(5);
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| draw.normal() as f32).collect();
    ctx.upload(&values, dims, Elem::F32).unwrap()
}

#[test]
fn unet() {
    let ctx = Context::new(&ContextOptions::default()).unwrap();
    let config = ModelSource::open(&directory()).unwrap().unet_config().unwrap();
    let (sample, text) = (noise(&ctx, &[1, 8, 8, 4]), noise(&ctx, &[1, 7, 32]));
    let timesteps = ctx.upload(&[500.0], &[1], Elem::F32).unwrap();
    for tensor in UNET {
        let weights = poisoned("unet/diffusion_pytorch_model.safetensors", tensor);
        let unet = UNet2DConditionModel::load(&ctx, &weights.scope(), &config, Elem::F16).unwrap();
        let mut rec = Recorder::new(&ctx);
        let context = unet.record_context(&mut rec, &text);
        let (sample, timesteps, context) = (&sample, &timesteps, &context);
        let out = unet.record(&mut rec, &UNetInputs { sample, timesteps, context, added: None, wrap: Wrap::default() });
        assert_found(tensor, &mut finished(rec, &out));
    }
}

#[test]
fn vae_and_text() {
    let ctx = Context::new(&ContextOptions::default()).unwrap();
    let source = ModelSource::open(&directory()).unwrap();
    let (image, latents) = (noise(&ctx, &[1, 16, 16, 3]), noise(&ctx, &[1, 2, 2, 4]));
    for tensor in VAE {
        let weights = poisoned("vae/diffusion_pytorch_model.safetensors", tensor);
        let vae = AutoencoderKl::load(&ctx, &weights.scope(), &source.vae_config().unwrap(), Elem::F32).unwrap();
        let mut rec = Recorder::new(&ctx);
        let encodes = tensor.starts_with("encoder") || tensor.starts_with("quant");
        let out = if encodes {
            vae.record_encode(&mut rec, &image, Wrap::default()).mean
        } else {
            vae.record_decode(&mut rec, &latents, Wrap::default())
        };
        assert_found(tensor, &mut finished(rec, &out));
    }
    let ids = ctx.upload_u32(&[3; 77], &[1, 77]).unwrap();
    for tensor in TEXT {
        let weights = poisoned("text_encoder/model.safetensors", tensor);
        let config = source.clip_text_config("text_encoder").unwrap();
        let model = ClipTextModel::load(&ctx, &weights.scope(), &config, Elem::F16).unwrap();
        let mut rec = Recorder::new(&ctx);
        let states = model.record(&mut rec, &ids);
        assert_found(tensor, &mut finished(rec, &states.last_hidden_state));
    }
}
