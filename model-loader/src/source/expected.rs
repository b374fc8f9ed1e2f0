//! Comparing a model's tensors with what its configurations ask for, before anything is loaded.

use super::ModelSource;
use crate::error::{Detail, LoadError, Result};
use crate::expected;

/// More tensors than any model that can be loaded has.
const MOST: usize = crate::header::MAX_TENSORS;

impl ModelSource {
    /// Names and shapes of all tensors that a component's configuration asks for.
    ///
    /// # Errors
    /// When the configuration is missing or bad, or asks for more tensors than a file can have.
    pub fn expected(&self, component: &str) -> Result<Vec<(String, Vec<usize>)>> {
        Ok(match component {
            "unet" => {
                let config = self.unet_config()?;
                let depth = (0..config.levels()).map(|i| config.transformer_layers_per_block.at(i).unwrap_or(1)).max();
                let layers = (0..config.levels()).map(|i| config.layers_per_block.at(i).unwrap_or(1)).sum::<usize>();
                self.bounded(component, layers * depth.unwrap_or(1))?;
                expected::unet(&config)
            }
            "controlnet" => {
                let config = self.controlnet_config()?;
                let levels = config.block_out_channels.len();
                let depth = (0..levels).map(|i| config.transformer_layers(i)).max().unwrap_or(1);
                self.bounded(component, (0..levels).map(|i| config.layers(i)).sum::<usize>() * depth)?;
                expected::controlnet(&config)
            }
            "vae" => expected::vae(&self.vae_config()?),
            _ => {
                let config = self.clip_text_config(component)?;
                self.bounded(component, config.num_hidden_layers)?;
                expected::clip_text(&config)
            }
        })
    }

    /// A hostile configuration could ask for millions of layers.
    fn bounded(&self, component: &str, layers: usize) -> Result<()> {
        if layers.saturating_mul(16) <= MOST {
            return Ok(());
        }
        let detail = Detail::new(self.label(), "the configuration asks for more layers than a file can hold");
        let detail =
            detail.item(component).found(format!("{layers} layers")).expected(format!("at most {}", MOST / 16));
        Err(LoadError::UnsupportedConfig(Box::new(detail.next(format!("syncline inspect {}", self.label())))))
    }

    /// Fails when tensors of a component are missing, superfluous or of another shape than its configuration asks for.
    ///
    /// # Errors
    /// As [`ModelSource::expected`] and [`ModelSource::weights`]; [`LoadError::Unaccounted`] with up to ten names of each kind.
    pub fn compare(&self, component: &str) -> Result<()> {
        self.weights(component)?.compare(&self.expected(component)?, &[])
    }
}
