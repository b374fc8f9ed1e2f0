//! Pictures of any size through the built-in model's autoencoder.

use std::sync::{Arc, OnceLock};

use syncline::jobs::{EditTexts, FrameEdit, Job, PictureCodec, PictureOptions, Program};
use syncline::methods::{EditGrid, EditMethod, EditSettings, Instructed};
use syncline::models::Wrap;
use syncline::pipeline::StableDiffusion;
use syncline::rng::{NoiseKey, Purpose};
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

fn load(max_bytes: Option<u64>) -> Arc<StableDiffusion> {
    let ctx = Context::new(&ContextOptions { checked: true, max_bytes, ..ContextOptions::default() }).unwrap();
    StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap()
}

fn model() -> &'static Arc<StableDiffusion> {
    static MODEL: OnceLock<Arc<StableDiffusion>> = OnceLock::new();
    MODEL.get_or_init(|| load(None))
}

/// Hills, a sky and something periodic in x.
fn picture([height, width]: [usize; 2]) -> Vec<f32> {
    let pixel = |y: usize, x: usize| {
        let (v, a) = (y as f32 / height as f32, x as f32 / width as f32 * std::f32::consts::TAU);
        let horizon = 0.5 + 0.1 * (2.0 * a).sin() + 0.05 * (5.0 * a + 1.0).cos();
        if v < horizon {
            [0.3 + 0.4 * v, 0.5 + 0.3 * v, 0.9]
        } else {
            [0.5 * v, 0.6 - 0.2 * v, 0.2 + 0.1 * (9.0 * a).sin()]
        }
    };
    (0..height * width).flat_map(|i| pixel(i / width, i % width)).collect()
}

fn codec(size: [usize; 2], options: PictureOptions) -> PictureCodec {
    PictureCodec::new(model(), size, options).unwrap()
}

/// A sample of the posterior is its mean and its own deviation times the key's noise: scaled as the mean is, and alike by windows.
#[test]
fn posteriors_can_be_sampled() {
    let size = [128, 192];
    let rgb = picture(size);
    let key = |seed| NoiseKey { seed, purpose: Purpose::Encode, trajectory: 0, view: 0, step: 0 };
    let mut whole = codec(size, PictureOptions::default());
    let mean = whole.encode(&rgb).unwrap();
    let deviations = |sample: &[f32], seed| -> Vec<f32> {
        let noise = key(seed).randn(mean.len());
        sample.iter().zip(&mean).zip(noise).map(|((sample, mean), xi)| (sample - mean) / xi).collect()
    };
    let [first, second] = [1, 2].map(|seed| deviations(&whole.encode_sample(&rgb, &key(seed)).unwrap(), seed));
    // Noise near zero says nothing about what it was multiplied with.
    let [noise, other] = [1, 2].map(|seed| key(seed).randn(mean.len()));
    let clear = |i: &usize| noise[*i].abs() > 0.5 && other[*i].abs() > 0.5;
    let places: Vec<usize> = (0..mean.len()).filter(clear).collect();
    assert!(places.len() > mean.len() / 4);
    for i in places {
        assert!(
            first[i] > 0.0 && (first[i] - second[i]).abs() < 1e-4 + 1e-2 * first[i],
            "{i}: {} {}",
            first[i],
            second[i]
        );
    }
    // By hand: the largest of exp(logvar / 2), scaled.
    let model = model();
    let ctx = &model.ctx;
    let image: Vec<f32> = rgb.iter().map(|v| 2.0 * v - 1.0).collect();
    let image = ctx.upload(&image, &[1, 128, 192, 3], Elem::F32).unwrap();
    let mut rec = Recorder::new(ctx);
    let logvar = model.vae.record_encode(&mut rec, &image, Wrap::default()).logvar;
    let logvar = rec.keep(&logvar).unwrap();
    rec.finish().unwrap().run().unwrap();
    let scale = model.vae.config().scaling_factor as f32;
    let expected: Vec<f32> = ctx.read(&logvar).unwrap().iter().map(|v| scale * (0.5 * v).exp()).collect();
    for i in (0..mean.len()).filter(clear) {
        assert!((first[i] - expected[i]).abs() < 1e-4 + 1e-2 * expected[i], "{i}: {} {}", first[i], expected[i]);
    }
}

fn psnr(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let mse = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64;
    -10.0 * mse.max(1e-14).log10()
}

/// Root mean squared difference over the root mean square.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    (square(&mut a.iter().zip(b).map(|(a, b)| a - b)) / square(&mut b.iter().copied())).sqrt()
}

/// The autoencoder by hand.
fn by_hand(rgb: &[f32], [height, width]: [usize; 2]) -> (Vec<f32>, Vec<f32>) {
    let model = model();
    let ctx = &model.ctx;
    let image: Vec<f32> = rgb.iter().map(|v| 2.0 * v - 1.0).collect();
    let image = ctx.upload(&image, &[1, height, width, 3], Elem::F32).unwrap();
    let mut rec = Recorder::new(ctx);
    let mean = model.vae.record_encode(&mut rec, &image, Wrap::default()).mean;
    let mean = rec.keep(&mean).unwrap();
    rec.finish().unwrap().run().unwrap();
    let factor = model.vae.config().scaling_factor as f32;
    let latents: Vec<f32> = ctx.read(&mean).unwrap().iter().map(|v| v * factor).collect();
    let input = ctx.upload(&latents, mean.dims(), Elem::F32).unwrap();
    let mut rec = Recorder::new(ctx);
    let out = model.vae.record_decode_scaled(&mut rec, &input, Wrap::default());
    let out = rec.keep(&out).unwrap();
    rec.finish().unwrap().run().unwrap();
    let rgb = ctx.read(&out).unwrap().iter().map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)).collect();
    (latents, rgb)
}

#[test]
fn one_window_is_the_autoencoder_itself() {
    let size = [128, 64];
    let rgb = picture(size);
    let mut codec = codec(size, PictureOptions::default());
    assert_eq!((codec.latent_size(), codec.latent_len()), ([16, 8], 16 * 8 * 4));
    let latents = codec.encode(&rgb).unwrap();
    let decoded = codec.decode(&latents).unwrap();
    assert_eq!((latents, decoded), by_hand(&rgb, size));
}

#[test]
fn other_sizes_are_extended_and_cropped() {
    let size = [100, 150];
    let rgb = picture(size);
    let mut odd = codec(size, PictureOptions::default());
    assert_eq!(odd.latent_size(), [16, 24]);
    let latents = odd.encode(&rgb).unwrap();
    let decoded = odd.decode(&latents).unwrap();
    assert_eq!(decoded.len(), 100 * 150 * 3);
    // The same picture, extended by the test.
    let padded: Vec<f32> = (0..128 * 192)
        .flat_map(|i| {
            let (y, x) = ((i / 192).min(99), (i % 192).min(149));
            rgb[(y * 150 + x) * 3..][..3].to_vec()
        })
        .collect();
    let (expected, whole) = by_hand(&padded, [128, 192]);
    assert_eq!(latents, expected);
    let cropped: Vec<f32> = (0..100).flat_map(|y| whole[y * 192 * 3..][..450].to_vec()).collect();
    assert_eq!(decoded, cropped);
    let found = psnr(&decoded, &rgb);
    println!("round trip of {size:?}: {found:.2} dB");
    assert!(found > 20.0, "{found} dB");
    // One pixel in each direction is a picture too.
    let mut tiny = codec([1, 1], PictureOptions::default());
    let latents = tiny.encode(&[0.2, 0.5, 0.8]).unwrap();
    assert_eq!(tiny.decode(&latents).unwrap().len(), 3);
}

#[test]
fn windows_give_nearly_the_whole_picture() {
    let size = [192, 320];
    let rgb = picture(size);
    let mut whole = codec(size, PictureOptions::default());
    let mut cut = codec(size, PictureOptions { tile: Some(16), ..PictureOptions::default() });
    let latents = whole.encode(&rgb).unwrap();
    let near = distance(&cut.encode(&rgb).unwrap(), &latents);
    let (one, many) = (whole.decode(&latents).unwrap(), cut.decode(&latents).unwrap());
    let decoded = psnr(&many, &one);
    println!("latents in windows: {near:.4} of their size away; decoded in windows: {decoded:.2} dB");
    // The mid-block's attention and the norms' statistics see a window only: alike, not equal.
    assert!(near < 0.15 && decoded > 30.0, "{near} {decoded}");
    // A budget of activations picks windows by itself.
    let most_bytes = Some(6 << 20);
    let mut small = codec(size, PictureOptions { most_bytes, ..PictureOptions::default() });
    let mut job = Job::new(small.encoding(&rgb).unwrap());
    let tiles = job.program().status().steps;
    while !job.advance(std::time::Duration::from_secs(1)).unwrap().finished {}
    assert!(tiles > 1, "{tiles}");
    assert!(distance(&job.finish().unwrap(), &latents) < 0.15);
}

/// A panorama turned by whole latent cells gives turned latents, in one window or in several.
#[test]
fn edges_that_continue_are_no_edges() {
    let (size, turn) = ([64, 256], 64);
    let wrap = Wrap { x: true, y: false };
    let rgb = picture(size);
    let roll = |values: &[f32], width: usize, channels: usize, by: usize| -> Vec<f32> {
        let rows = values.chunks_exact(width * channels);
        rows.flat_map(|row| [&row[by * channels..], &row[..by * channels]].concat()).collect()
    };
    let turned = roll(&rgb, 256, 3, turn);
    for (tile, most) in [(None, 2e-5), (Some(16), 0.1)] {
        let mut codec = codec(size, PictureOptions { tile, wrap, ..PictureOptions::default() });
        let latents = codec.encode(&rgb).unwrap();
        let moved = distance(&codec.encode(&turned).unwrap(), &roll(&latents, 32, 4, turn / 8));
        let decoded = codec.decode(&latents).unwrap();
        let seam = |rgb: &[f32]| {
            let rows = rgb.chunks_exact(256 * 3);
            rows.flat_map(|row| (0..3).map(|c| f64::from(row[c] - row[255 * 3 + c]).abs())).sum::<f64>() / 192.0
        };
        println!("tile {tile:?}: turned {moved:.2e}; across the edge {:.4}, before {:.4}", seam(&decoded), seam(&rgb));
        assert!(moved < most, "{moved}");
        assert!(seam(&decoded) < 0.05, "{}", seam(&decoded));
    }
    let refused = PictureCodec::new(model(), [64, 250], PictureOptions { wrap, ..PictureOptions::default() });
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("width: found 250") && refused.contains("multiple of 64, for example 256"), "{refused}");
}

/// Memory on the device is that of one picture, and is given back.
#[test]
fn memory_does_not_depend_on_the_number_of_pictures() {
    let model = load(None);
    let size = [192, 192];
    let rgb = picture(size);
    let before = model.ctx.memory().0;
    let mut codec = PictureCodec::new(&model, size, PictureOptions::default()).unwrap();
    let mut peaks = Vec::new();
    for _ in 0..6 {
        let latents = codec.encode(&rgb).unwrap();
        codec.decode(&latents).unwrap();
        peaks.push(model.ctx.memory().1);
    }
    assert!(peaks.iter().all(|peak| *peak == peaks[0]), "{peaks:?}");
    codec.release();
    assert_eq!(model.ctx.memory().0, before);
    // On a device with less than a whole picture needs, windows are found by themselves.
    let needed = peaks[0] - before;
    let tight = load(Some(before + needed / 2));
    let mut codec =
        PictureCodec::new(&tight, size, PictureOptions { tile: Some(64), ..PictureOptions::default() }).unwrap();
    let latents = codec.encode(&rgb).unwrap();
    codec.release();
    codec.decode(&latents).unwrap();
    println!("{needed} bytes above the weights for {size:?}, done in half of it");
}

#[test]
fn what_is_no_picture_is_refused_with_its_size() {
    let mut codec = codec([64, 64], PictureOptions::default());
    let refused = codec.encode(&[0.0; 5]).unwrap_err().to_string();
    assert_eq!(refused, "picture: found 5 values, expected 12288 for 64x64");
    let refused = codec.decode(&[f32::NAN; 256]).unwrap_err();
    assert!(refused.to_string().contains("decode"), "{refused}");
    // The codec goes on afterwards.
    assert_eq!(codec.decode(&[0.1; 256]).unwrap().len(), 12288);
    assert!(PictureCodec::new(model(), [0, 64], PictureOptions::default()).is_err());
    assert!(PictureCodec::new(model(), [64, 20000], PictureOptions::default()).is_err());
}

fn edit(source: &str, target: &str, guidance: [f64; 2], one_noise: bool) -> FrameEdit {
    let settings = EditSettings { start: 1, guidance, ..EditSettings::new(4, 5) };
    let (source, targets, negative) = (source.to_owned(), vec![target.to_owned()], String::new());
    FrameEdit {
        plan: settings.plan(EditMethod::SyncSde, &model().noise_schedule).unwrap(),
        texts: EditTexts::Prompts { source, targets, negative },
        one_noise,
        seed: 5,
    }
}

fn edited(edit: &FrameEdit, first: usize, latents: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let program = edit.program(model(), first, [64, 64], latents.concat()).unwrap();
    let canvas = Job::new(program).run(|_, _| {}).unwrap().canvas;
    canvas.chunks_exact(latents[0].len()).map(<[f32]>::to_vec).collect()
}

/// A picture becomes the same whatever its batch; with one path for all, equal pictures become equal; equal prompts change no bit.
#[test]
fn pictures_are_edited_each_by_itself() {
    let mut codec = codec([64, 64], PictureOptions::default());
    let rgb = picture([64, 64]);
    let darker: Vec<f32> = rgb.iter().map(|v| 0.8 * v).collect();
    let latents = [&rgb, &darker, &rgb].map(|rgb| codec.encode(rgb).unwrap());
    codec.release();
    let (day, night) = ("a green meadow at noon", "a green meadow at night");
    let own = edit(day, night, [2.0, 4.0], false);
    let together = edited(&own, 0, &latents);
    let apart: Vec<Vec<f32>> = (0..3).map(|i| edited(&own, i, &latents[i..=i]).remove(0)).collect();
    assert_eq!(together, apart);
    assert!(together[0] != together[2], "each picture has its own path");
    assert!(distance(&together[0], &latents[0]) > 0.05, "{}", distance(&together[0], &latents[0]));
    let shared = edited(&edit(day, night, [2.0, 4.0], true), 0, &latents);
    assert_eq!((&shared[0], &shared[0]), (&shared[2], &together[0]));
    assert_eq!(edited(&edit(day, day, [4.0; 2], false), 0, &latents), latents);
    // An instructed model's pictures, sampled from noise: theirs do not depend on the batch either.
    let editor = StableDiffusion::load(&model().ctx, &ModelSource::mini_editor().unwrap(), Elem::F32).unwrap();
    let grid = EditGrid::diffusion(&editor.noise_schedule, 3).unwrap();
    let plan = Instructed { condition: 1.0 / editor.vae.config().scaling_factor }.plan(&grid);
    let (instructions, negative) = (vec!["make it night".to_owned()], String::new());
    let texts = EditTexts::Instructions { instructions, negative, guidance: [5.0, 1.2] };
    let instructed = FrameEdit { plan, texts, one_noise: false, seed: 5 };
    let run = |first, latents: &[Vec<f32>]| {
        let program = instructed.program(&editor, first, [64, 64], latents.concat()).unwrap();
        Job::new(program).run(|_, _| {}).unwrap().canvas
    };
    let all = run(0, &latents);
    assert_eq!(all[2 * latents[0].len()..], run(2, &latents[2..]));
    assert!(all.iter().all(|v| v.is_finite()) && all[..latents[0].len()] != latents[0][..]);
}
