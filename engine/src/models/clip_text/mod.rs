//! CLIP's text encoder (Radford et al. 2021), as transformers' `CLIPTextModel` and `CLIPTextModelWithProjection`.

mod layer;

use syncline_kernels::gpu::{Context, Recorder};
use syncline_kernels::ops::embed_tokens;
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::Scope;
use syncline_loader::config::ClipTextConfig;

use crate::error::{Error, Result};
use crate::nn::{Epilogue, LayerNorm, Linear, Source};
use layer::ClipEncoderLayer;

/// What a text becomes, in the model's own type.
#[derive(Clone, Debug)]
pub struct TextStates {
    /// Behind the final norm, `[B, L, D]`: the context of SD 1 and SD 2.
    pub last_hidden_state: Tensor,
    /// `hidden_states[-2]`: what enters the last layer, `[B, L, D]`, without the final norm. The context of SDXL.
    pub penultimate: Tensor,
}

/// A text encoder on the device.
#[derive(Debug)]
pub struct ClipTextModel {
    config: ClipTextConfig,
    elem: Elem,
    /// Rows of the table in pieces of at most one storage binding.
    token_embedding: Vec<Tensor>,
    position_embedding: Tensor,
    layers: Vec<ClipEncoderLayer>,
    final_layer_norm: LayerNorm,
    text_projection: Option<Linear>,
    /// `[1, D]` of zeros: reading single rows of a state is an embedding without positions.
    no_position: Tensor,
}

/// The token table, cut into pieces that fit one binding.
fn load_table(source: &Source<'_>, rows: usize, width: usize) -> Result<Vec<Tensor>> {
    let host = source.take("weight", &[rows, width])?.to_f32();
    let row_bytes = width.next_multiple_of(4) as u64 * source.elem().bytes();
    let caps = source.context().caps();
    let fitting = (caps.max_binding.min(caps.max_buffer) / row_bytes).max(1);
    let pieces = rows.div_ceil(usize::try_from(fitting).unwrap_or(rows));
    if pieces > embed_tokens::MAX_PARTS {
        return Err(Error::UnsupportedModel {
            component: "CLIPTextModel",
            key: "vocab_size",
            found: format!("{rows} tokens of {width} channels, {pieces} bindings of this adapter"),
            expected: format!("at most {} bindings", embed_tokens::MAX_PARTS),
        });
    }
    let per_piece = rows.min(usize::try_from(fitting).unwrap_or(rows));
    let pieces = host.chunks(per_piece * width);
    pieces.map(|piece| source.upload("weight", piece, &[piece.len() / width, width])).collect()
}

impl ClipTextModel {
    /// Loads the model from the root of a text encoder's weights, in either spelling of its keys.
    ///
    /// # Errors
    /// When a tensor is missing or wrong, or does not fit `elem` or the device.
    pub fn load(ctx: &Context, scope: &Scope, config: &ClipTextConfig, elem: Elem) -> Result<Self> {
        let root = Source::new(ctx, scope, elem);
        let source = root.at("text_model");
        let (width, eps) = (config.hidden_size, config.layer_norm_eps);
        let embeddings = source.at("embeddings");
        let layer = |i| ClipEncoderLayer::load(&source.at("encoder").at("layers").at(i), config);
        let projection = || Linear::load_unbiased(&root.at("text_projection"), width, config.projection_dim);
        Ok(Self {
            token_embedding: load_table(&embeddings.at("token_embedding"), config.vocab_size, width)?,
            position_embedding: embeddings
                .at("position_embedding")
                .tensor("weight", &[config.max_position_embeddings, width])?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            final_layer_norm: LayerNorm::load(&source.at("final_layer_norm"), width, eps)?,
            text_projection: config.with_projection().then(projection).transpose()?,
            no_position: ctx.upload_named("no position", &vec![0.0; width], &[1, width], elem)?,
            config: config.clone(),
            elem,
        })
    }

    /// The configuration the model was loaded with.
    #[must_use]
    pub fn config(&self) -> &ClipTextConfig {
        &self.config
    }

    /// The type of weights and states.
    #[must_use]
    pub fn elem(&self) -> Elem {
        self.elem
    }

    /// Token ids `[B, L]` (integers) to hidden states. L is at most the number of positions, 77 in published models.
    pub fn record(&self, rec: &mut Recorder, ids: &Tensor) -> TextStates {
        rec.set_layer("text_model.embeddings");
        let mut x = embed_tokens::embed_tokens(rec, ids, &self.token_embedding, &self.position_embedding, self.elem);
        let mut penultimate = x.clone();
        for layer in &self.layers {
            penultimate = x;
            x = layer.record(rec, &penultimate);
        }
        TextStates { last_hidden_state: self.final_layer_norm.record(rec, &x), penultimate }
    }

    /// For each row of `ids`, the row of `last_hidden_state` seen as `[B * L, D]` where its end-of-text token stands:
    /// what [`ClipTextModel::record_pooled`] reads.
    #[must_use]
    pub fn pooled_rows(&self, ids: &[u32], length: usize) -> Vec<u32> {
        let position = |(b, row): (usize, &[u32])| (b * length + self.config.pooled_position(row)) as u32;
        ids.chunks(length).enumerate().map(position).collect()
    }

    /// The pooled vectors `[B, D]` of `last_hidden_state`; `rows` `[B, 1]` as [`ClipTextModel::pooled_rows`] gives them.
    pub fn record_pooled(&self, rec: &mut Recorder, last_hidden_state: &Tensor, rows: &Tensor) -> Tensor {
        rec.set_layer("pooled");
        let (count, width) = (last_hidden_state.shape().rows(), last_hidden_state.shape().last());
        let states = last_hidden_state.reshape(&[count, width]);
        let pooled = embed_tokens::embed_tokens(rec, rows, &[states], &self.no_position, self.elem);
        pooled.reshape(&[rows.dims()[0], width])
    }

    /// `text_embeds [B, P]` of pooled vectors; `None` without a text projection.
    pub fn record_text_embeds(&self, rec: &mut Recorder, pooled: &Tensor) -> Option<Tensor> {
        Some(self.text_projection.as_ref()?.record(rec, pooled, Epilogue::default()))
    }
}

/// `hidden_act` of the configuration, which the loader has checked.
fn activation(config: &ClipTextConfig) -> Activation {
    if config.hidden_act == "quick_gelu" { Activation::QuickGelu } else { Activation::Gelu }
}
