//! With wrapped edges a model knows no border: it commutes with rolling its input around.

use syncline::models::{UNetInputs, Wrap};
use syncline::pipeline::StableDiffusion;
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::ModelSource;

/// `[H, W, C]` rolled down by `dy` and right by `dx`.
fn roll(values: &[f32], [h, w, c]: [usize; 3], [dy, dx]: [usize; 2]) -> Vec<f32> {
    let at = |y: usize, x: usize| ((y + h - dy) % h * w + (x + w - dx) % w) * c;
    (0..h).flat_map(|y| (0..w).flat_map(move |x| at(y, x)..at(y, x) + c)).map(|i| values[i]).collect()
}

/// Relative L2 between f(roll(x)) and roll(f(x)), where `factor` output cells are one input cell (or one is `1 / factor`).
fn disagreement(
    dims: [usize; 3],
    shift: [usize; 2],
    (numerator, denominator): (usize, usize),
    f: impl Fn(&[f32]) -> Vec<f32>,
) -> f64 {
    let mut draw = Draw::new(11);
    let x: Vec<f32> = (0..dims.iter().product()).map(|_| draw.normal() as f32).collect();
    let scale = |v: usize| v * numerator / denominator;
    let (straight, rolled) = (f(&x), f(&roll(&x, dims, shift)));
    let (h, w) = (scale(dims[0]), scale(dims[1]));
    let expected = roll(&straight, [h, w, straight.len() / (h * w)], shift.map(scale));
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = rolled.iter().zip(&expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|v| square(*v)).sum::<f64>()).sqrt()
}

/// Rounding only: sums of norms and attention meet their terms in another order.
const ROUNDING: f64 = 2e-5;
/// What a border of zeros changes, at least.
const BORDER: f64 = 1e-2;

fn check(what: &str, wrap: Wrap, shift: [usize; 2], error: f64) {
    let touches = |rolled: usize, wraps: bool| rolled == 0 || wraps;
    let seamless = touches(shift[0], wrap.y) && touches(shift[1], wrap.x);
    println!("{what:<12} {wrap:?} rolled {shift:?}: {error:.1e}");
    if seamless {
        assert!(error <= ROUNDING, "{what} {wrap:?} rolled {shift:?}: {error:.1e}");
    } else {
        assert!(error >= BORDER, "{what} {wrap:?} rolled {shift:?}: {error:.1e} shows no border");
    }
}

#[test]
fn models_commute_with_rolling() {
    let ctx = Context::new(&ContextOptions::strict()).unwrap();
    let model = StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap();
    let run = |record: &dyn Fn(&mut Recorder) -> Tensor| {
        let mut rec = Recorder::new(&ctx);
        let out = record(&mut rec);
        let out = rec.keep(&out).unwrap();
        rec.finish().unwrap().run().unwrap();
        ctx.read(&out).unwrap()
    };
    let upload = |values: &[f32], dims: &[usize]| ctx.upload(values, dims, Elem::F32).unwrap();
    let mut draw = Draw::new(12);
    let text: Vec<f32> = (0..77 * 64).map(|_| draw.normal() as f32).collect();
    let (context, timesteps) = (upload(&text, &[1, 77, 64]), upload(&[500.0], &[1]));
    for (wrap, shift) in [
        (Wrap { x: true, y: false }, [0, 8]),
        (Wrap { x: false, y: true }, [8, 0]),
        (Wrap { x: true, y: true }, [8, 8]),
        (Wrap { x: true, y: false }, [8, 0]),
        (Wrap { x: false, y: true }, [0, 8]),
    ] {
        let unet = disagreement([16, 24, 4], shift, (1, 1), |x| {
            let sample = upload(x, &[1, 16, 24, 4]);
            run(&|rec| {
                let context = model.unet.record_context(rec, &context);
                let (sample, timesteps, context) = (&sample, &timesteps, &context);
                model.unet.record(rec, &UNetInputs { sample, timesteps, context, added: None, wrap })
            })
        });
        check("UNet", wrap, shift, unet);
        let decoder = disagreement([10, 12, 4], [shift[0] / 8 * 3, shift[1] / 8 * 3], (8, 1), |x| {
            let latents = upload(x, &[1, 10, 12, 4]);
            run(&|rec| model.vae.record_decode(rec, &latents, wrap))
        });
        check("VAE decoder", wrap, shift, decoder);
        let encoder = disagreement([48, 40, 3], [shift[0] * 2, shift[1] * 2], (1, 8), |x| {
            let image = upload(x, &[1, 48, 40, 3]);
            run(&|rec| model.vae.record_encode(rec, &image, wrap).mean)
        });
        check("VAE encoder", wrap, shift, encoder);
    }
    ctx.verify_guards().unwrap();
}
