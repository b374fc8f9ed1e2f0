//! Prompts with weights and with more tokens than the text encoder has places, from the text to what the UNet attends to.

use std::sync::Arc;

use syncline::jobs::{Job, Prompts, TextToImage, TextToImageOptions};
use syncline::pipeline::{EncodeText, StableDiffusion};
use syncline::rng::NoiseMode;
use syncline::schedulers::{PlanOptions, SamplingMethod};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::ModelSource;

fn model() -> Arc<StableDiffusion> {
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    StableDiffusion::load(&ctx, &ModelSource::mini().unwrap(), Elem::F32).unwrap()
}

/// The states of each prompt, all encoded in one run.
fn states(model: &StableDiffusion, prompts: &[&str]) -> Vec<Vec<f32>> {
    let prompts: Vec<String> = prompts.iter().map(|text| (*text).to_owned()).collect();
    let mut encode = EncodeText::new(model, &prompts, None).unwrap();
    assert!(encode.truncated.iter().all(|cut| *cut == 0));
    encode.recording().run().unwrap();
    encode.states(model).unwrap().into_iter().map(|text| text.context).collect()
}

#[test]
fn weights_act_on_their_words_and_nothing_else() {
    let model = model();
    let text = "a sunset over desert dunes with distant mountains";
    let plain = states(&model, &[text]).remove(0);
    let width = model.text_encoder.config().hidden_size;
    assert_eq!(plain.len(), 77 * width);
    // Brackets that amount to nothing, and escapes, change nothing to the bit.
    for same in [
        "a (sunset:1.0) over desert dunes with distant mountains",
        "a ([sunset]) over (desert dunes:1) with distant mountains",
    ] {
        assert!(states(&model, &[same]).remove(0) == plain, "{same}");
    }
    // "a sunset": the weighed word is token 2. Everything else keeps its direction: one scale for all.
    let weighed = states(&model, &["a (sunset:1.5) over desert dunes with distant mountains"]).remove(0);
    let scale = weighed[0] / plain[0];
    for (token, (a, b)) in weighed.chunks(width).zip(plain.chunks(width)).enumerate() {
        let expected = if token == 2 { 1.5 * scale } else { scale };
        let worst = a.iter().zip(b).map(|(a, b)| (a - expected * b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "token {token}: off by {worst}");
    }
    let mean = |states: &[f32]| states.iter().map(|v| f64::from(*v)).sum::<f64>() / states.len() as f64;
    assert!((mean(&weighed) - mean(&plain)).abs() < 1e-6);
}

#[test]
fn long_prompts_are_encoded_in_chunks_one_after_the_other() {
    let model = model();
    let width = model.text_encoder.config().hidden_size;
    let (first, second) = ("sunset ".repeat(75), "dunes ".repeat(20));
    let both = states(&model, &[&format!("{first}{second}"), "a short one"]);
    assert!(both.iter().all(|states| states.len() == 2 * 77 * width), "all get as many chunks as the longest");
    let alone = |text: &str| states(&model, &[text]).remove(0);
    assert!(both[0] == [alone(&first), alone(&second)].concat(), "chunks do not see each other");
    assert!(both[1] == [alone("a short one"), alone("")].concat());
    assert!(alone("desert dunes BREAK mountains") == [alone("desert dunes"), alone("mountains")].concat());
}

/// A picture of a prompt in two chunks, and of a weighed one: both are sound, and differ from the plain one.
#[test]
fn pictures_follow_weights_and_later_chunks() {
    let model = model();
    let draw = |prompt: &str| {
        let options = TextToImageOptions {
            prompts: Prompts::new(prompt, ""),
            seed: 5,
            rng: NoiseMode::Cpu,
            method: SamplingMethod::Ddim,
            plan: PlanOptions { steps: 2, ..PlanOptions::default() },
            cfg_scale: 5.0,
            ..TextToImageOptions::default()
        };
        Job::new(TextToImage::new(&model, options).unwrap()).run(|_, _| {}).unwrap().rgb.remove(0)
    };
    let plain = draw("a sunset over desert dunes");
    assert!(draw("(a sunset over desert dunes:1.0)") == plain);
    for other in ["(a sunset:1.6) over desert dunes", "a sunset over desert dunes BREAK snowy mountains at night"] {
        let picture = draw(other);
        assert!(picture.iter().all(|v| v.is_finite()) && picture != plain, "{other}");
    }
}
