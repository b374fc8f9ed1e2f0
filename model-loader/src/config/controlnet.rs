//! `ControlNetModel`.

use serde::{Deserialize, Serialize};

use super::levels::{CROSS_ATTENTION, Levels, check_additions, never, texts};
use super::{Checker, Config, PerLevel};
use crate::error::Result;

/// Configuration of a ControlNet, as in its `config.json`. Defaults are those of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are diffusers' own and are documented there")]
pub struct ControlNetConfig {
    pub _class_name: String,
    pub in_channels: usize,
    pub conditioning_channels: usize,
    pub flip_sin_to_cos: bool,
    pub freq_shift: f64,
    pub down_block_types: Vec<String>,
    pub mid_block_type: Option<String>,
    pub only_cross_attention: PerLevel<bool>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: PerLevel<usize>,
    pub downsample_padding: usize,
    pub mid_block_scale_factor: f64,
    pub act_fn: String,
    pub norm_num_groups: usize,
    pub norm_eps: f64,
    pub cross_attention_dim: usize,
    pub transformer_layers_per_block: PerLevel<usize>,
    pub encoder_hid_dim: Option<usize>,
    pub encoder_hid_dim_type: Option<String>,
    /// Number of attention heads, in spite of its name.
    pub attention_head_dim: PerLevel<usize>,
    pub num_attention_heads: Option<PerLevel<usize>>,
    pub use_linear_projection: bool,
    pub class_embed_type: Option<String>,
    pub addition_embed_type: Option<String>,
    pub addition_time_embed_dim: Option<usize>,
    pub num_class_embeds: Option<usize>,
    pub upcast_attention: Option<bool>,
    pub resnet_time_scale_shift: String,
    pub projection_class_embeddings_input_dim: Option<usize>,
    pub controlnet_conditioning_channel_order: String,
    pub conditioning_embedding_out_channels: Vec<usize>,
    pub global_pool_conditions: bool,
    pub addition_embed_type_num_heads: usize,
}

impl Default for ControlNetConfig {
    fn default() -> Self {
        ControlNetConfig {
            _class_name: String::new(),
            in_channels: 4,
            conditioning_channels: 3,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: texts(&CROSS_ATTENTION),
            mid_block_type: Some("UNetMidBlock2DCrossAttn".to_owned()),
            only_cross_attention: PerLevel::All(false),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::All(2),
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            act_fn: "silu".to_owned(),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: 1280,
            transformer_layers_per_block: PerLevel::All(1),
            encoder_hid_dim: None,
            encoder_hid_dim_type: None,
            attention_head_dim: PerLevel::All(8),
            num_attention_heads: None,
            use_linear_projection: false,
            class_embed_type: None,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            num_class_embeds: None,
            upcast_attention: Some(false),
            resnet_time_scale_shift: "default".to_owned(),
            projection_class_embeddings_input_dim: None,
            controlnet_conditioning_channel_order: "rgb".to_owned(),
            conditioning_embedding_out_channels: vec![16, 32, 96, 256],
            global_pool_conditions: false,
            addition_embed_type_num_heads: 64,
        }
    }
}

impl ControlNetConfig {
    /// Reads and checks the text of a `config.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// Attention heads of level `i`.
    pub fn heads(&self, i: usize) -> usize {
        self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim).at(i).unwrap_or(1)
    }

    /// Transformer layers in each attention block of level `i`.
    pub fn transformer_layers(&self, i: usize) -> usize {
        self.transformer_layers_per_block.at(i).unwrap_or(1)
    }

    /// Resnets of level `i`.
    pub fn layers(&self, i: usize) -> usize {
        self.layers_per_block.at(i).unwrap_or(1)
    }
}

impl Config for ControlNetConfig {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("_class_name", &self._class_name, &["ControlNetModel"])?;
        let levels = Levels {
            down_block_types: &self.down_block_types,
            block_out_channels: &self.block_out_channels,
            layers_per_block: &self.layers_per_block,
            heads: self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim),
            transformer_layers_per_block: &self.transformer_layers_per_block,
            norm_num_groups: self.norm_num_groups,
        };
        levels.check(c)?;
        c.count("in_channels", self.in_channels)?;
        c.count("conditioning_channels", self.conditioning_channels)?;
        c.count("cross_attention_dim", self.cross_attention_dim)?;
        c.counts("conditioning_embedding_out_channels", &self.conditioning_embedding_out_channels)?;
        c.positive("norm_eps", self.norm_eps)?;
        self.check_switches(c)?;
        self.check_absent(c)
    }
}

impl ControlNetConfig {
    fn check_switches(&self, c: &Checker<'_>) -> Result<()> {
        let order = &self.controlnet_conditioning_channel_order;
        let mid = self.mid_block_type.as_deref().unwrap_or("null");
        c.one_of("act_fn", &self.act_fn, &["silu", "swish"])?;
        c.one_of("resnet_time_scale_shift", &self.resnet_time_scale_shift, &["default"])?;
        c.one_of("controlnet_conditioning_channel_order", order, &["rgb", "bgr"])?;
        c.one_of("mid_block_type", mid, &["UNetMidBlock2DCrossAttn"])?;
        c.equals("global_pool_conditions", self.global_pool_conditions, false)?;
        c.equals("mid_block_scale_factor", self.mid_block_scale_factor, 1.0)?;
        c.equals("downsample_padding", self.downsample_padding, 1)?;
        c.require(self.freq_shift.is_finite(), "freq_shift", self.freq_shift, "a number")
    }

    fn check_absent(&self, c: &Checker<'_>) -> Result<()> {
        c.absent("encoder_hid_dim_type", &self.encoder_hid_dim_type)?;
        c.absent("encoder_hid_dim", &self.encoder_hid_dim)?;
        c.absent("class_embed_type", &self.class_embed_type)?;
        c.absent("num_class_embeds", &self.num_class_embeds)?;
        never(c, &self.only_cross_attention, self.block_out_channels.len())?;
        let input = self.projection_class_embeddings_input_dim;
        check_additions(c, self.addition_embed_type.as_deref(), self.addition_time_embed_dim, input)
    }
}
