//! Small models of generated weights with a tokenizer, pictures, and runs of jobs.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use safetensors::SafeTensors;
use syncline::jobs::{Beside, ControlPicture, Images, InitImage, Job, Prompts, TextToImage, TextToImageOptions};
use syncline::pipeline::{ControlNet, StableDiffusion};
use syncline::rng::NoiseMode;
use syncline::schedulers::{PlanOptions, SamplingMethod, Start, TimestepSpacing};
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::{Dtype, ModelSource, Weights};

pub const SIZE: [usize; 2] = [64, 128];
pub const PROMPT: &str = "a sunset over desert dunes with distant mountains";
pub const NEGATIVE: &str = "night snow, a city skyline";

pub fn ctx() -> &'static Context {
    static CTX: OnceLock<Context> = OnceLock::new();
    CTX.get_or_init(|| Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap())
}

/// A directory of configurations: those of a golden model with the built-in model's tokenizer and vocabulary, and with texts of
/// some files replaced.
pub fn folder(golden: &str, edits: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (from, folder) = (root.join("golden").join(golden), tempfile::tempdir().unwrap());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let files = [
        ("golden/meta.json", "\"seed\": 2", "\"seed\": 0"),
        ("model_index.json", "", ""),
        ("scheduler/scheduler_config.json", "", ""),
        ("text_encoder/config.json", "\"vocab_size\": 1000", "\"vocab_size\": 1069"),
        ("text_encoder_2/config.json", "\"vocab_size\": 1000", "\"vocab_size\": 1069"),
        ("unet/config.json", "", ""),
        ("vae/config.json", "", ""),
        ("controlnet/config.json", "", ""),
    ];
    for (name, old, new) in files {
        let Ok(mut text) = std::fs::read_to_string(from.join(name)) else { continue };
        text = text.replace(old, new);
        for (_, old, new) in edits.iter().filter(|(file, ..)| *file == name) {
            assert!(text.contains(old), "{name} has no {old}");
            text = text.replace(old, new);
        }
        write(name, &text);
    }
    let mini = root.join("../model-loader/mini/model/tokenizer");
    let sdxl = from.join("text_encoder_2").is_dir();
    for name in ["merges.txt", "vocab.json", "special_tokens_map.json", "tokenizer_config.json"] {
        let text = std::fs::read_to_string(mini.join(name)).unwrap();
        let first = text.replace("\"pad_token\": \"!\"", "\"pad_token\": \"<|endoftext|>\"");
        write(&format!("tokenizer/{name}"), if sdxl { &first } else { &text });
        write(&format!("tokenizer_2/{name}"), &text);
    }
    folder
}

pub fn load(golden: &str, edits: &[(&str, &str, &str)], elem: Elem) -> Arc<StableDiffusion> {
    let folder = folder(golden, edits);
    StableDiffusion::load(ctx(), &ModelSource::open(folder.path()).unwrap(), elem).unwrap()
}

pub fn channels(count: usize) -> Vec<(&'static str, &'static str, &'static str)> {
    let new = if count == 5 { "\"in_channels\": 5" } else { "\"in_channels\": 9" };
    vec![("unet/config.json", "\"in_channels\": 4", new)]
}

/// A ControlNet of generated weights for the models of a golden directory.
pub fn control(golden: &str, seed: u64, weight: f64, elem: Elem) -> Option<Arc<ControlNet>> {
    let folder = folder(golden, &[]);
    let config = ModelSource::open(folder.path()).unwrap().controlnet_config().unwrap();
    let weights = Weights::generated(seed, "controlnet", Dtype::F16);
    ControlNet::load(ctx(), &config, &weights, elem, weight).unwrap()
}

pub struct Golden(Vec<u8>);

pub fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/jobs/jobs.safetensors");
    GOLDEN.get_or_init(|| Golden(std::fs::read(path).unwrap()))
}

impl Golden {
    pub fn get(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let values = match view.dtype() {
            safetensors::Dtype::U8 => view.data().iter().map(|&b| f32::from(b)).collect(),
            _ => view.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        };
        (values, view.shape().to_vec())
    }

    /// `[B, C, H, W]` as `[B, H, W, C]`.
    pub fn image(&self, name: &str) -> Vec<f32> {
        let (values, shape) = self.get(name);
        let [_, c, h, w] = *shape else { panic!("{name}: {shape:?}") };
        let image = |image: &[f32]| -> Vec<f32> {
            (0..h * w).flat_map(|p| (0..c).map(move |k| k * h * w + p)).map(|at| image[at]).collect()
        };
        values.chunks(c * h * w).flat_map(image).collect()
    }

    pub fn picture(&self, name: &str) -> InitImage {
        let (values, shape) = self.get(name);
        InitImage { size: [shape[0], shape[1]], rgb: values.iter().map(|v| v / 255.0).collect() }
    }

    pub fn mask(&self) -> Beside {
        Beside::Mask(self.get("mask").0)
    }

    pub fn depth(&self) -> Beside {
        let (values, shape) = self.get("depth");
        Beside::Depth { size: [shape[0], shape[1]], values }
    }
}

pub fn options(method: SamplingMethod, steps: usize, seed: u64) -> TextToImageOptions {
    TextToImageOptions {
        prompts: Prompts::new(PROMPT, NEGATIVE),
        size: Some(SIZE),
        seed,
        rng: NoiseMode::Cpu,
        method,
        plan: PlanOptions { steps, spacing: Some(TimestepSpacing::Leading), ..PlanOptions::default() },
        cfg_scale: 7.5,
        ..TextToImageOptions::default()
    }
}

pub fn draw(model: &Arc<StableDiffusion>, options: TextToImageOptions) -> Images {
    Job::new(TextToImage::new(model, options).unwrap()).run(|_, _| {}).unwrap()
}

pub fn refused(model: &Arc<StableDiffusion>, options: TextToImageOptions) -> String {
    match TextToImage::new(model, options) {
        Err(e) => e.to_string(),
        Ok(_) => panic!("accepted"),
    }
}

pub fn part(steps: usize, seed: u64, strength: f64) -> TextToImageOptions {
    let mut options = options(SamplingMethod::Ddim, steps, seed);
    options.plan.start = Start::Strength(strength);
    TextToImageOptions { init: Some(golden().picture("init.u8")), ..options }
}

/// The configurations of seed 1's directory (seed 0's stores weights of another vocabulary and other channels).
pub fn with_seed_0<'a>(edits: &[(&'a str, &'a str, &'a str)]) -> Vec<(&'a str, &'a str, &'a str)> {
    [edits, &[("golden/meta.json", "\"seed\": 1", "\"seed\": 0")]].concat()
}

/// A ControlNet for a whole run.
pub fn whole(net: Arc<ControlNet>, picture: InitImage) -> ControlPicture {
    ControlPicture { net, picture, start: 0.0, end: 1.0 }
}
