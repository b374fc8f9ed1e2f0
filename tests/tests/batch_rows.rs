//! A row of a batch is the run of that row alone, to the byte, whatever else is in the batch.
#![expect(clippy::unwrap_used, reason = "a test that cannot open the model has failed")]

use syncline::models::{AutoencoderKl, ClipTextModel, UNet2DConditionModel, UNetInputs, Wrap};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Profile, Recorder};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::ModelSource;

const BATCH: usize = 3;

fn run(ctx: &Context, record: impl FnOnce(&mut Recorder) -> Tensor) -> Vec<u32> {
    let mut rec = Recorder::new(ctx);
    let out = record(&mut rec);
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    ctx.read_tensor_words(&out).unwrap()
}

/// Runs all rows together and each alone, and compares.
fn compare(what: &str, values: &[f32], row: &[usize], mut run: impl FnMut(&[f32], &[usize]) -> Vec<u32>) {
    let with_batch = |b: usize| [&[b], row].concat();
    let together = run(values, &with_batch(BATCH));
    let alone: Vec<Vec<u32>> = values.chunks(values.len() / BATCH).map(|v| run(v, &with_batch(1))).collect();
    assert_ne!(alone[0], alone[1], "{what}: rows with other inputs must differ");
    assert!(together == alone.concat(), "{what}: a row of the batch is not its own run");
}

fn noise(draw: &mut Draw, row: &[usize]) -> Vec<f32> {
    (0..BATCH * row.iter().product::<usize>()).map(|_| draw.normal() as f32).collect()
}

fn every_model(ctx: &Context, elem: Elem) {
    let source = ModelSource::mini().unwrap();
    let mut draw = Draw::new(77);
    let upload = |values: &[f32], dims: &[usize]| ctx.upload(values, dims, Elem::F32).unwrap();

    let config = source.clip_text_config("text_encoder").unwrap();
    let text = ClipTextModel::load(ctx, &source.weights("text_encoder").unwrap().scope(), &config, elem).unwrap();
    let ids: Vec<f32> = (0..BATCH * 77).map(|_| draw.below(config.vocab_size) as f32).collect();
    compare("text encoder", &ids, &[77], |ids, dims| {
        let ids: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
        let tokens = ctx.upload_u32(&ids, dims).unwrap();
        run(ctx, |rec| text.record(rec, &tokens).last_hidden_state)
    });

    let (weights, config) = (source.weights("unet").unwrap(), source.unet_config().unwrap());
    let unet = UNet2DConditionModel::load(ctx, &weights.scope(), &config, elem).unwrap();
    let width = text.config().hidden_size;
    let context = noise(&mut draw, &[77, width]);
    let sample = noise(&mut draw, &[16, 16, 4]);
    let times = [601.0, 1.0, 999.0];
    let mut row = 0;
    compare("UNet", &sample, &[16, 16, 4], |sample, dims| {
        let b = dims[0];
        let first = if b == 1 { row } else { 0 };
        row += usize::from(b == 1);
        let context = upload(&context[first * 77 * width..(first + b) * 77 * width], &[b, 77, width]);
        let (sample, timesteps) = (upload(sample, dims), upload(&times[first..first + b], &[b]));
        run(ctx, |rec| {
            let context = unet.record_context(rec, &context);
            let (sample, timesteps, context) = (&sample, &timesteps, &context);
            unet.record(rec, &UNetInputs { sample, timesteps, context, added: None, wrap: Wrap::default() })
        })
    });

    let (weights, config) = (source.weights("vae").unwrap(), source.vae_config().unwrap());
    let vae = AutoencoderKl::load(ctx, &weights.scope(), &config, elem).unwrap();
    compare("VAE decoder", &noise(&mut draw, &[8, 6, 4]), &[8, 6, 4], |latents, dims| {
        let latents = upload(latents, dims);
        run(ctx, |rec| vae.record_decode(rec, &latents, Wrap::default()))
    });
    compare("VAE encoder", &noise(&mut draw, &[48, 40, 3]), &[48, 40, 3], |image, dims| {
        let image = upload(image, dims);
        run(ctx, |rec| vae.record_encode(rec, &image, Wrap::default()).mean)
    });
    ctx.verify_guards().unwrap();
}

#[test]
fn f32() {
    every_model(&Context::new(&ContextOptions::strict()).unwrap(), Elem::F32);
}

#[test]
fn f16() {
    every_model(&Context::new(&ContextOptions::strict()).unwrap(), Elem::F16);
}

#[test]
fn f16_packed() {
    let profile = Profile { webgpu_limits: true, shader_f16: false, subgroups: false, matrix: false };
    every_model(&Context::new(&ContextOptions { profile, ..ContextOptions::strict() }).unwrap(), Elem::F16);
}
