//! Plans on no GPU at all: one line per dispatch, so that a change of what runs shows in a diff. After an intended change
//! `INSTA_UPDATE=always cargo test -p syncline-tests --test plans` writes the new ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::Path;

use syncline::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel, UNetInputs, Wrap};
use syncline_kernels::gpu::{Backends, Context, ContextOptions, Recorder, Recording};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

fn no_gpu() -> Context {
    Context::new(&ContextOptions { backends: Backends::Noop, ..ContextOptions::default() }).unwrap()
}

fn source(name: &str) -> ModelSource {
    ModelSource::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)).unwrap()
}

fn load_vae(ctx: &Context, source: &ModelSource, elem: Elem) -> AutoencoderKl {
    let weights = source.weights("vae").unwrap();
    let vae = AutoencoderKl::load(ctx, &weights.scope(), &source.vae_config().unwrap(), elem).unwrap();
    weights.finish(&[]).unwrap();
    vae
}

/// The UNet on a guided pair of 16 × 24 latents.
fn unet_plan(ctx: &Context, source: &ModelSource) -> Recording {
    let config = source.unet_config().unwrap();
    let weights = source.weights("unet").unwrap();
    let unet = UNet2DConditionModel::load(ctx, &weights.scope(), &config, Elem::F16).unwrap();
    weights.finish(&[]).unwrap();
    let sample = ctx.tensor(&[2, 16, 24, config.in_channels], Elem::F16).unwrap();
    let timesteps = ctx.tensor(&[2], Elem::F32).unwrap();
    let text = ctx.tensor(&[2, 77, 32], Elem::F16).unwrap();
    let mut rec = Recorder::new(ctx);
    let context = unet.record_context(&mut rec, &text);
    let (sample, timesteps, context) = (&sample, &timesteps, &context);
    let out = unet.record(&mut rec, &UNetInputs { sample, timesteps, context, added: None, wrap: Wrap::default() });
    assert_eq!((out.dims(), out.elem()), (&[2, 16, 24, 4][..], Elem::F32));
    rec.keep(&out).unwrap();
    rec.finish().unwrap()
}

#[test]
fn tiny_unet() {
    insta::assert_snapshot!(unet_plan(&no_gpu(), &source("tiny-sd21-s0")));
}

#[test]
fn tiny_text_encoder() {
    let (ctx, source) = (no_gpu(), source("tiny-sd21-s0"));
    let weights = source.weights("text_encoder").unwrap();
    let config = source.clip_text_config("text_encoder").unwrap();
    let model = ClipTextModel::load(&ctx, &weights.scope(), &config, Elem::F16).unwrap();
    weights.finish(&[]).unwrap();
    let ids = ctx.upload_u32(&[0; 154], &[2, 77]).unwrap();
    let mut rec = Recorder::new(&ctx);
    let states = model.record(&mut rec, &ids);
    rec.keep(&states.last_hidden_state).unwrap();
    insta::assert_snapshot!(rec.finish().unwrap());
}

#[test]
fn tiny_vae() {
    let (ctx, source) = (no_gpu(), source("tiny-sd21-s0"));
    let vae = load_vae(&ctx, &source, Elem::F16);
    let latents = ctx.tensor(&[1, 16, 24, 4], Elem::F32).unwrap();
    let mut rec = Recorder::new(&ctx);
    let image = vae.record_decode_scaled(&mut rec, &latents, Wrap::default());
    let moments = vae.record_encode(&mut rec, &image, Wrap::default());
    rec.keep(&moments.mean).unwrap();
    insta::assert_snapshot!(rec.finish().unwrap());
}

#[test]
fn nothing_is_copied_and_no_layer_is_nameless() {
    let plan = unet_plan(&no_gpu(), &source("tiny-sd21-s0"));
    let mut wide = 0;
    for (kernel, layer, _) in plan.dispatches() {
        assert!(!layer.is_empty(), "a {kernel} without a layer");
        wide += usize::from(kernel.starts_with("convert"));
    }
    // Skip connections are read in place; the output alone changes its type.
    assert_eq!(wide, 1);
}

#[test]
fn footprints_are_those_of_the_recording() {
    let (ctx, source) = (no_gpu(), source("tiny-sd21-s0"));
    for elem in [Elem::F32, Elem::F16] {
        let vae = load_vae(&ctx, &source, elem);
        let mut rec = Recorder::new(&ctx);
        let latents = ctx.tensor(&[2, 16, 24, 4], Elem::F32).unwrap();
        let image = vae.record_decode_scaled(&mut rec, &latents, Wrap::default());
        let found = vae.decode_footprint(&ctx, [2, 16, 24]);
        // Here the image stays inside the recording, there latents and image do.
        drop(image);
        assert!(found.activations >= rec.finish().unwrap().slot_bytes());
        // 128 × 192 pixels of 12 channels, the width of the last but one level, enlarged by the last convolution.
        assert_eq!(found.largest_tensor, 2 * 128 * 192 * 12 * elem.bytes());
        let encode = vae.encode_footprint(&ctx, [2, 128, 192]);
        assert_eq!(encode.largest_tensor, 2 * 128 * 192 * 8 * elem.bytes());
        let twice = vae.decode_footprint(&ctx, [4, 16, 24]);
        assert!(twice.largest_tensor == 2 * found.largest_tensor && twice.activations > found.activations);
    }
}
