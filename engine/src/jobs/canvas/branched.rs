//! Several models on one canvas, each with rows of its own: two checkpoints, or one with other prompts and guidance.

use std::sync::Arc;

use syncline_kernels::gpu::{Context, Recording};

use super::model::CanvasModel;
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::pipeline::StableDiffusion;
use crate::spaces::View;

/// Models in the order of their rows. Each one's noise table is its own: evaluations name the model and carry its timestep and
/// coefficients. Pictures pass through the first one's autoencoder.
#[derive(Debug)]
pub struct Branched<M> {
    models: Vec<M>,
    /// Whose recording the last `next` gave.
    current: usize,
    /// Model and part of each recording that the last look asked for.
    aimed: Vec<(usize, usize)>,
}

impl<M: CanvasModel> Branched<M> {
    /// Models for the rows of a space, each for one or several whole branches.
    ///
    /// # Errors
    /// When there is none, or their latents are not those of one space.
    pub fn new(models: Vec<M>) -> Result<Self> {
        let Some((first, others)) = models.split_first() else {
            return Err(Error::Input { what: "models", found: "none".into(), expected: "at least one".into() });
        };
        others.iter().try_for_each(|other| same_latents(first, other))?;
        Ok(Self { models, current: 0, aimed: Vec::new() })
    }

    /// The models.
    #[must_use]
    pub fn models(&self) -> &[M] {
        &self.models
    }
}

/// What two models' latents have to have in common to be compared: size, and the autoencoder's numbers.
fn same_latents<M: CanvasModel>(a: &M, b: &M) -> Result<()> {
    let refuse = |found: String, expected: &str| {
        Err(Error::Input { what: "models on one canvas", found, expected: expected.to_owned() })
    };
    let (da, db) = (a.latent_dims(), b.latent_dims());
    if da != db {
        return refuse(format!("latents of {da:?} and {db:?} (h, w, C)"), "latents of one size");
    }
    let numbers = |m: &M| {
        m.autoencoder().map(|model| {
            let config = model.vae.config();
            (config.scaling_factor, config.latent_channels, config.shift_factor.unwrap_or(0.0))
        })
    };
    if let (Some(na), Some(nb)) = (numbers(a), numbers(b))
        && na != nb
    {
        let told = |(scale, channels, shift): (f64, usize, f64)| {
            format!("scaling_factor {scale}, latent_channels {channels}, shift_factor {shift}")
        };
        let expected = "one latent space: values of different autoencoders mean different things, so pushing one model's \
                        estimate to the other's would push it to noise";
        return refuse(format!("{} and {}", told(na), told(nb)), expected);
    }
    Ok(())
}

impl<M: CanvasModel> CanvasModel for Branched<M> {
    fn context(&self) -> &Context {
        self.models[0].context()
    }

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        for i in 0..self.models.len() {
            if self.models[i].next()?.is_some() {
                self.current = i;
                // Asked again: the borrow of the first answer would outlive this branch.
                return self.models[i].next();
            }
        }
        Ok(None)
    }

    fn done(&mut self) -> Result<()> {
        self.models[self.current].done()
    }

    fn look(&mut self, views: &[View]) -> Result<usize> {
        self.aimed.clear();
        let mut first = 0;
        for (i, model) in self.models.iter_mut().enumerate() {
            let count: usize = model.denoisers().iter().map(|denoiser| denoiser.batch()).sum();
            let parts = model.look(&views[first..first + count])?;
            self.aimed.extend((0..parts).map(|part| (i, part)));
            first += count;
        }
        Ok(self.aimed.len())
    }

    fn conditioning(&mut self, part: usize) -> Option<&mut Recording> {
        let (model, part) = *self.aimed.get(part)?;
        self.models[model].conditioning(part)
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        self.models.iter().flat_map(|model| model.denoisers()).collect()
    }

    fn autoencoder(&self) -> Option<&Arc<StableDiffusion>> {
        self.models[0].autoencoder()
    }

    fn truncated_tokens(&self) -> usize {
        self.models.iter().map(|model| model.truncated_tokens()).max().unwrap_or(0)
    }
}

impl<M: CanvasModel + ?Sized> CanvasModel for Box<M> {
    fn context(&self) -> &Context {
        (**self).context()
    }

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        (**self).next()
    }

    fn done(&mut self) -> Result<()> {
        (**self).done()
    }

    fn look(&mut self, views: &[View]) -> Result<usize> {
        (**self).look(views)
    }

    fn conditioning(&mut self, part: usize) -> Option<&mut Recording> {
        (**self).conditioning(part)
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        (**self).denoisers()
    }

    fn autoencoder(&self) -> Option<&Arc<StableDiffusion>> {
        (**self).autoencoder()
    }

    fn truncated_tokens(&self) -> usize {
        (**self).truncated_tokens()
    }
}
