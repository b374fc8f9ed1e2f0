//! `UNet2DConditionModel`.

use serde::{Deserialize, Serialize};

use super::levels::{CROSS_ATTENTION, Levels, check_additions, never, texts};
use super::{Checker, Config, PerLevel};
use crate::error::Result;

/// Configuration of a conditional UNet, as in `unet/config.json`. Defaults are those of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are diffusers' own and are documented there")]
pub struct UNet2DConditionConfig {
    pub _class_name: String,
    pub sample_size: Option<PerLevel<usize>>,
    pub in_channels: usize,
    pub out_channels: usize,
    pub center_input_sample: bool,
    pub flip_sin_to_cos: bool,
    pub freq_shift: f64,
    pub down_block_types: Vec<String>,
    pub mid_block_type: Option<String>,
    pub up_block_types: Vec<String>,
    pub only_cross_attention: PerLevel<bool>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: PerLevel<usize>,
    pub downsample_padding: usize,
    pub mid_block_scale_factor: f64,
    pub dropout: f64,
    pub act_fn: String,
    pub norm_num_groups: usize,
    pub norm_eps: f64,
    pub cross_attention_dim: PerLevel<usize>,
    pub transformer_layers_per_block: PerLevel<usize>,
    pub reverse_transformer_layers_per_block: Option<serde_json::Value>,
    pub encoder_hid_dim: Option<usize>,
    pub encoder_hid_dim_type: Option<String>,
    /// Number of attention heads, in spite of its name.
    pub attention_head_dim: PerLevel<usize>,
    pub num_attention_heads: Option<PerLevel<usize>>,
    pub dual_cross_attention: bool,
    pub use_linear_projection: bool,
    pub class_embed_type: Option<String>,
    pub addition_embed_type: Option<String>,
    pub addition_time_embed_dim: Option<usize>,
    pub num_class_embeds: Option<usize>,
    /// Asks half-precision runs to compute attention scores in f32.
    pub upcast_attention: Option<bool>,
    pub resnet_time_scale_shift: String,
    pub resnet_skip_time_act: bool,
    pub resnet_out_scale_factor: f64,
    pub time_embedding_type: String,
    pub time_embedding_dim: Option<usize>,
    pub time_embedding_act_fn: Option<String>,
    pub timestep_post_act: Option<String>,
    pub time_cond_proj_dim: Option<usize>,
    pub conv_in_kernel: usize,
    pub conv_out_kernel: usize,
    pub projection_class_embeddings_input_dim: Option<usize>,
    pub attention_type: String,
    pub class_embeddings_concat: bool,
    pub mid_block_only_cross_attention: Option<bool>,
    pub cross_attention_norm: Option<String>,
    pub addition_embed_type_num_heads: usize,
}

impl Default for UNet2DConditionConfig {
    fn default() -> Self {
        UNet2DConditionConfig {
            _class_name: String::new(),
            sample_size: None,
            in_channels: 4,
            out_channels: 4,
            center_input_sample: false,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            down_block_types: texts(&CROSS_ATTENTION),
            mid_block_type: Some("UNetMidBlock2DCrossAttn".to_owned()),
            up_block_types: texts(&["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]),
            only_cross_attention: PerLevel::All(false),
            block_out_channels: vec![320, 640, 1280, 1280],
            layers_per_block: PerLevel::All(2),
            downsample_padding: 1,
            mid_block_scale_factor: 1.0,
            dropout: 0.0,
            act_fn: "silu".to_owned(),
            norm_num_groups: 32,
            norm_eps: 1e-5,
            cross_attention_dim: PerLevel::All(1280),
            transformer_layers_per_block: PerLevel::All(1),
            reverse_transformer_layers_per_block: None,
            encoder_hid_dim: None,
            encoder_hid_dim_type: None,
            attention_head_dim: PerLevel::All(8),
            num_attention_heads: None,
            dual_cross_attention: false,
            use_linear_projection: false,
            class_embed_type: None,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            num_class_embeds: None,
            upcast_attention: Some(false),
            resnet_time_scale_shift: "default".to_owned(),
            resnet_skip_time_act: false,
            resnet_out_scale_factor: 1.0,
            time_embedding_type: "positional".to_owned(),
            time_embedding_dim: None,
            time_embedding_act_fn: None,
            timestep_post_act: None,
            time_cond_proj_dim: None,
            conv_in_kernel: 3,
            conv_out_kernel: 3,
            projection_class_embeddings_input_dim: None,
            attention_type: "default".to_owned(),
            class_embeddings_concat: false,
            mid_block_only_cross_attention: None,
            cross_attention_norm: None,
            addition_embed_type_num_heads: 64,
        }
    }
}

impl UNet2DConditionConfig {
    /// Reads and checks the text of a `config.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// Number of resolution levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Attention heads of level `i`.
    pub fn heads(&self, i: usize) -> usize {
        self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim).at(i).unwrap_or(1)
    }

    /// Transformer layers in each attention block of level `i`.
    pub fn transformer_layers(&self, i: usize) -> usize {
        self.transformer_layers_per_block.at(i).unwrap_or(1)
    }

    /// Resnets of level `i` on the way down; one more on the way up.
    pub fn layers(&self, i: usize) -> usize {
        self.layers_per_block.at(i).unwrap_or(1)
    }

    /// Width of the text context.
    pub fn context_width(&self) -> usize {
        self.cross_attention_dim.at(0).unwrap_or(0)
    }

    /// Latent height and width the model was trained at.
    pub fn sample_hw(&self) -> Option<(usize, usize)> {
        let size = self.sample_size.as_ref()?;
        Some((size.at(0)?, size.at(1)?))
    }
}

impl Config for UNet2DConditionConfig {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("_class_name", &self._class_name, &["UNet2DConditionModel"])?;
        let levels = Levels {
            down_block_types: &self.down_block_types,
            block_out_channels: &self.block_out_channels,
            layers_per_block: &self.layers_per_block,
            heads: self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim),
            transformer_layers_per_block: &self.transformer_layers_per_block,
            norm_num_groups: self.norm_num_groups,
        };
        levels.check(c)?;
        self.check_up_blocks(c)?;
        self.check_switches(c)?;
        self.check_time_and_additions(c)?;
        let width = &self.cross_attention_dim;
        c.require(width.levels(1).is_some(), "cross_attention_dim", width, "one number")?;
        c.count("cross_attention_dim", self.context_width())?;
        c.count("in_channels", self.in_channels)?;
        c.count("out_channels", self.out_channels)?;
        c.positive("norm_eps", self.norm_eps)
    }
}

impl UNet2DConditionConfig {
    fn check_up_blocks(&self, c: &Checker<'_>) -> Result<()> {
        let (downs, ups) = (&self.down_block_types, &self.up_block_types);
        c.per_level("up_block_types", ups, self.levels())?;
        for (up, down) in ups.iter().zip(downs.iter().rev()) {
            c.one_of("up_block_types", up, &["UpBlock2D", "CrossAttnUpBlock2D"])?;
            let alike = up.starts_with("CrossAttn") == down.starts_with("CrossAttn");
            c.require(alike, "up_block_types", ups, "attention at the same levels as down_block_types")?;
        }
        let mid = self.mid_block_type.as_deref().unwrap_or("null");
        c.one_of("mid_block_type", mid, &["UNetMidBlock2DCrossAttn"])
    }

    fn check_switches(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("act_fn", &self.act_fn, &["silu", "swish"])?;
        c.one_of("resnet_time_scale_shift", &self.resnet_time_scale_shift, &["default"])?;
        c.one_of("attention_type", &self.attention_type, &["default"])?;
        c.equals("center_input_sample", self.center_input_sample, false)?;
        c.equals("dual_cross_attention", self.dual_cross_attention, false)?;
        c.equals("resnet_skip_time_act", self.resnet_skip_time_act, false)?;
        c.equals("class_embeddings_concat", self.class_embeddings_concat, false)?;
        let mid_only = self.mid_block_only_cross_attention.unwrap_or(false);
        c.equals("mid_block_only_cross_attention", mid_only, false)?;
        never(c, &self.only_cross_attention, self.levels())?;
        c.equals("mid_block_scale_factor", self.mid_block_scale_factor, 1.0)?;
        c.equals("resnet_out_scale_factor", self.resnet_out_scale_factor, 1.0)?;
        c.equals("conv_in_kernel", self.conv_in_kernel, 3)?;
        c.equals("conv_out_kernel", self.conv_out_kernel, 3)?;
        c.equals("downsample_padding", self.downsample_padding, 1)?;
        c.absent("cross_attention_norm", &self.cross_attention_norm)?;
        let reverse = &self.reverse_transformer_layers_per_block;
        c.absent("reverse_transformer_layers_per_block", reverse)
    }

    fn check_time_and_additions(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("time_embedding_type", &self.time_embedding_type, &["positional"])?;
        c.absent("time_embedding_act_fn", &self.time_embedding_act_fn)?;
        c.absent("timestep_post_act", &self.timestep_post_act)?;
        c.absent("encoder_hid_dim_type", &self.encoder_hid_dim_type)?;
        c.absent("class_embed_type", &self.class_embed_type)?;
        c.absent("time_embedding_dim", &self.time_embedding_dim)?;
        c.absent("time_cond_proj_dim", &self.time_cond_proj_dim)?;
        c.absent("encoder_hid_dim", &self.encoder_hid_dim)?;
        c.absent("num_class_embeds", &self.num_class_embeds)?;
        c.require(self.freq_shift.is_finite(), "freq_shift", self.freq_shift, "a number")?;
        let input = self.projection_class_embeddings_input_dim;
        check_additions(c, self.addition_embed_type.as_deref(), self.addition_time_embed_dim, input)
    }
}
