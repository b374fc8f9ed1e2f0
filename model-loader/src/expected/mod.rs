//! Names and shapes of all tensors that a configuration asks for, before anything is loaded.

mod unet;
mod vae;

use crate::config::ClipTextConfig;

pub(crate) use unet::{controlnet, unet};
pub(crate) use vae::vae;

/// Names and shapes, in no order.
pub(crate) type Table = Vec<(String, Vec<usize>)>;

/// A table that is being filled.
#[derive(Debug, Default)]
struct Names {
    rows: Table,
}

impl Names {
    fn weight(&mut self, name: &str, shape: &[usize]) {
        self.rows.push((format!("{name}.weight"), shape.to_vec()));
    }

    /// Weight and bias.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.weight(name, shape);
        self.rows.push((format!("{name}.bias"), shape.iter().take(1).copied().collect()));
    }

    fn conv3(&mut self, name: &str, out: usize, inputs: usize) {
        self.layer(name, &[out, inputs, 3, 3]);
    }

    fn conv1(&mut self, name: &str, out: usize, inputs: usize) {
        self.layer(name, &[out, inputs, 1, 1]);
    }

    fn linear(&mut self, name: &str, out: usize, inputs: usize) {
        self.layer(name, &[out, inputs]);
    }

    fn norm(&mut self, name: &str, channels: usize) {
        self.layer(name, &[channels]);
    }

    /// Two convolutions with norms; `time` is the width of the time embedding, which a VAE's do not have.
    fn resnet(&mut self, name: &str, (inputs, out): (usize, usize), time: Option<usize>) {
        self.norm(&format!("{name}.norm1"), inputs);
        self.conv3(&format!("{name}.conv1"), out, inputs);
        if let Some(width) = time {
            self.linear(&format!("{name}.time_emb_proj"), out, width);
        }
        self.norm(&format!("{name}.norm2"), out);
        self.conv3(&format!("{name}.conv2"), out, out);
        if inputs != out {
            self.conv1(&format!("{name}.conv_shortcut"), out, inputs);
        }
    }
}

/// A CLIP text encoder in transformers' published names.
pub(crate) fn clip_text(config: &ClipTextConfig) -> Table {
    let mut names = Names::default();
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    names.weight("text_model.embeddings.token_embedding", &[config.vocab_size, width]);
    names.weight("text_model.embeddings.position_embedding", &[config.max_position_embeddings, width]);
    for i in 0..config.num_hidden_layers {
        let layer = format!("text_model.encoder.layers.{i}");
        names.norm(&format!("{layer}.layer_norm1"), width);
        names.norm(&format!("{layer}.layer_norm2"), width);
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            names.linear(&format!("{layer}.self_attn.{part}"), width, width);
        }
        names.linear(&format!("{layer}.mlp.fc1"), inner, width);
        names.linear(&format!("{layer}.mlp.fc2"), width, inner);
    }
    names.norm("text_model.final_layer_norm", width);
    if config.with_projection() {
        names.weight("text_projection", &[config.projection_dim, width]);
    }
    names.rows
}
