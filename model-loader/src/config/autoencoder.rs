//! `AutoencoderKL`.

use serde::{Deserialize, Serialize};

use super::{Checker, Config, PerLevel};
use crate::error::Result;

/// Configuration of a VAE, as in `vae/config.json`. Defaults are those of diffusers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "the fields are diffusers' own and are documented there")]
pub struct AutoencoderKlConfig {
    pub _class_name: String,
    pub in_channels: usize,
    pub out_channels: usize,
    pub down_block_types: Vec<String>,
    pub up_block_types: Vec<String>,
    pub block_out_channels: Vec<usize>,
    pub layers_per_block: usize,
    pub act_fn: String,
    pub latent_channels: usize,
    pub norm_num_groups: usize,
    pub sample_size: PerLevel<usize>,
    /// 0.18215 where the file does not say otherwise, as in all SD-1 and SD-2 models.
    pub scaling_factor: f64,
    pub shift_factor: Option<f64>,
    pub latents_mean: Option<Vec<f64>>,
    pub latents_std: Option<Vec<f64>>,
    /// Says that the decoder overflows f16, as SDXL's does.
    pub force_upcast: bool,
    pub use_quant_conv: bool,
    pub use_post_quant_conv: bool,
    pub mid_block_add_attention: bool,
}

impl Default for AutoencoderKlConfig {
    fn default() -> Self {
        AutoencoderKlConfig {
            _class_name: String::new(),
            in_channels: 3,
            out_channels: 3,
            down_block_types: vec!["DownEncoderBlock2D".to_owned()],
            up_block_types: vec!["UpDecoderBlock2D".to_owned()],
            block_out_channels: vec![64],
            layers_per_block: 1,
            act_fn: "silu".to_owned(),
            latent_channels: 4,
            norm_num_groups: 32,
            sample_size: PerLevel::All(32),
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            force_upcast: true,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl AutoencoderKlConfig {
    /// Reads and checks the text of a `config.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        Self::parse_checked(file, text)
    }

    /// Pixels per latent cell and axis.
    pub fn downscale(&self) -> usize {
        1 << (self.block_out_channels.len().clamp(1, 16) - 1)
    }
}

impl Config for AutoencoderKlConfig {
    fn check(&self, c: &Checker<'_>) -> Result<()> {
        c.one_of("_class_name", &self._class_name, &["AutoencoderKL"])?;
        c.one_of("act_fn", &self.act_fn, &["silu", "swish"])?;
        self.check_sizes(c)?;
        for down in &self.down_block_types {
            c.one_of("down_block_types", down, &["DownEncoderBlock2D"])?;
        }
        for up in &self.up_block_types {
            c.one_of("up_block_types", up, &["UpDecoderBlock2D"])?;
        }
        c.positive("scaling_factor", self.scaling_factor)?;
        c.absent("latents_mean", &self.latents_mean)?;
        c.absent("latents_std", &self.latents_std)?;
        c.equals("shift_factor", self.shift_factor.unwrap_or(0.0), 0.0)?;
        c.equals("use_quant_conv", self.use_quant_conv, true)?;
        c.equals("use_post_quant_conv", self.use_post_quant_conv, true)?;
        c.equals("mid_block_add_attention", self.mid_block_add_attention, true)
    }
}

impl AutoencoderKlConfig {
    fn check_sizes(&self, c: &Checker<'_>) -> Result<()> {
        c.counts("block_out_channels", &self.block_out_channels)?;
        let levels = self.block_out_channels.len();
        c.per_level("down_block_types", &self.down_block_types, levels)?;
        c.per_level("up_block_types", &self.up_block_types, levels)?;
        c.count("in_channels", self.in_channels)?;
        c.count("out_channels", self.out_channels)?;
        c.count("latent_channels", self.latent_channels)?;
        let layers = self.layers_per_block;
        c.require((1..=64).contains(&layers), "layers_per_block", layers, "1 to 64")?;
        c.count("norm_num_groups", self.norm_num_groups)?;
        let mut channels = self.block_out_channels.iter();
        channels.try_for_each(|channels| c.divides("norm_num_groups", self.norm_num_groups, *channels))
    }
}
