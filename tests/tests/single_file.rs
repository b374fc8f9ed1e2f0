//! The built-in model written as one file in the original layout, and with a LoRA beside it: the same weights give the same
//! pictures to the byte, whatever file they come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Dtype, TensorView};
use syncline::jobs::{Job, Prompts, TextToImage, TextToImageOptions};
use syncline::pipeline::StableDiffusion;
use syncline::schedulers::PlanOptions;
use syncline_kernels::gpu::{Context, ContextOptions};
use syncline_kernels::tensor::Elem;
use syncline_loader::{Lora, ModelSource};

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(component: &str) -> Tensors {
    let weights = ModelSource::mini().unwrap().weights(component).unwrap();
    let one = |name: &str| {
        let tensor = weights.get(name).unwrap().unwrap();
        let dtype = match tensor.dtype {
            syncline_loader::Dtype::F16 => Dtype::F16,
            syncline_loader::Dtype::F32 => Dtype::F32,
            other => panic!("{other}"),
        };
        (name.to_owned(), (dtype, tensor.shape.clone(), tensor.bytes().to_vec()))
    };
    weights.infos().map(|info| one(info.name)).collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The original name by the longest matching module of a table of "diffusers <tab> original" lines. The built-in model has
/// shortcuts where the published ones need none; they stand beside the first convolution.
fn original(table: &str, name: &str) -> String {
    if name.contains(".conv_shortcut.") {
        let beside = original(table, &name.replace("conv_shortcut", "conv1"));
        return beside.replace("in_layers.2", "skip_connection").replace(".conv1.", ".nin_shortcut.");
    }
    let rows = table.lines().map(|line| line.split_once('\t').unwrap());
    let matching = rows.filter(|(module, _)| name.starts_with(&format!("{module}.")));
    let (module, to) = matching.max_by_key(|(module, _)| module.len()).unwrap();
    format!("{to}{}", &name[module.len()..])
}

/// OpenCLIP's names, joined projections, and one layer more, which SD-2.x does not use.
fn open_clip(text: &Tensors, layers: usize) -> Tensors {
    let names = [
        ("text_model.", ""),
        ("embeddings.token_embedding.weight", "token_embedding.weight"),
        ("embeddings.position_embedding.weight", "positional_embedding"),
        ("final_layer_norm.", "ln_final."),
        ("encoder.layers.", "transformer.resblocks."),
        ("layer_norm", "ln_"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    ];
    let mut out = Tensors::new();
    for (name, entry) in text.iter().filter(|(name, _)| !name.contains("k_proj") && !name.contains("v_proj")) {
        let mut to = names.iter().fold(name.clone(), |n, (new, old)| n.replace(new, old));
        let mut entry = entry.clone();
        if name.contains("q_proj") {
            for part in ["k_proj", "v_proj"] {
                entry.2.extend(&text[&name.replace("q_proj", part)].2);
            }
            entry.1[0] *= 3;
            to = to.replace("self_attn.q_proj.", "attn.in_proj_");
        }
        let last = format!("resblocks.{}.", layers - 1);
        if to.contains(&last) {
            let more = to.replace(&last, &format!("resblocks.{layers}."));
            out.insert(format!("cond_stage_model.model.{more}"), entry.clone());
        }
        out.insert(format!("cond_stage_model.model.{to}"), entry);
    }
    out
}

fn checkpoint() -> Tensors {
    let layers = ModelSource::mini().unwrap().clip_text_config("text_encoder").unwrap().num_hidden_layers;
    let mut all = open_clip(&tensors("text_encoder"), layers);
    let tables = [
        ("unet", include_str!("../../model-loader/tests/data/singlefile/unet-sd.tsv")),
        ("vae", include_str!("../../model-loader/tests/data/singlefile/vae.tsv")),
    ];
    for (component, table) in tables {
        for (name, (dtype, mut shape, data)) in tensors(component) {
            let to = original(table, &name);
            if to.contains("attn_1") && shape.len() == 2 {
                shape.extend([1, 1]);
            }
            all.insert(to, (dtype, shape, data));
        }
    }
    all
}

fn draw(source: &ModelSource) -> Vec<f32> {
    let ctx = Context::new(&ContextOptions { checked: true, ..ContextOptions::default() }).unwrap();
    let model: Arc<StableDiffusion> = StableDiffusion::load(&ctx, source, Elem::F32).unwrap();
    let options = TextToImageOptions {
        prompts: Prompts::new("a sunset over desert dunes", ""),
        seed: 3,
        plan: PlanOptions { steps: 2, ..PlanOptions::default() },
        cfg_scale: 4.0,
        ..TextToImageOptions::default()
    };
    Job::new(TextToImage::new(&model, options).unwrap()).run(|_, _| {}).unwrap().rgb.remove(0)
}

#[test]
fn one_file_in_the_original_layout_gives_the_same_picture() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mini-512-base.safetensors");
    write(&path, &checkpoint());
    let mini = ModelSource::mini().unwrap();
    let single = ["unet", "vae", "text_encoder"]
        .into_iter()
        .fold(mini.clone(), |model, component| model.with_component(component, &path).unwrap());
    for component in ["unet", "vae", "text_encoder"] {
        assert!(single.weights(component).unwrap().label().contains("mini-512-base"), "{component} is from the file");
    }
    assert!(draw(&single) == draw(&mini));
}

#[test]
fn a_lora_changes_the_picture_as_much_as_its_weight_says() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("lora.safetensors");
    // Rank 1 on every query of the UNet: a column and a row of small numbers.
    let mut lora = Tensors::new();
    for (name, (_, shape, _)) in tensors("unet").into_iter().filter(|(name, _)| name.ends_with("to_q.weight")) {
        let stem = format!("lora_unet_{}", name.trim_end_matches(".weight").replace('.', "_"));
        let values = |n: usize| (0..n).flat_map(|i| (((i * 7 % 5) as f32 - 2.0) * 0.1).to_le_bytes()).collect();
        lora.insert(format!("{stem}.lora_up.weight"), (Dtype::F32, vec![shape[0], 1], values(shape[0])));
        lora.insert(format!("{stem}.lora_down.weight"), (Dtype::F32, vec![1, shape[1]], values(shape[1])));
    }
    write(&path, &lora);
    let (mini, lora) = (ModelSource::mini().unwrap(), Lora::open(&path).unwrap());
    let with = |weight: f64| draw(&mini.clone().with_lora(&lora, weight).unwrap());
    let plain = draw(&mini);
    assert!(with(0.0) == plain, "weight 0 is none, to the byte");
    let far = |picture: &[f32]| picture.iter().zip(&plain).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let (little, much) = (far(&with(0.1)), far(&with(1.0)));
    assert!(little > 0.0 && much > 2.0 * little, "{little} and {much}");
}
