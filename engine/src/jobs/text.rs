//! The text stage that every job begins with.

use std::sync::Arc;

use syncline_kernels::gpu::Recording;

use crate::error::Result;
use crate::pipeline::{Conditioning, EncodeText, StableDiffusion};

/// What the pictures should and should not show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompts {
    /// One prompt for all latents of the batch, or one for each.
    pub positive: Vec<String>,
    /// One negative prompt for all.
    pub negative: String,
}

impl Prompts {
    /// One prompt for everything.
    #[must_use]
    pub fn new(positive: &str, negative: &str) -> Self {
        Self { positive: vec![positive.to_owned()], negative: negative.to_owned() }
    }

    fn of(&self, latent: usize) -> usize {
        if self.positive.len() == 1 { 0 } else { latent }
    }
}

/// Runs the text encoder, then the keys and values of the context.
#[derive(Debug)]
pub(super) struct TextStage {
    model: Arc<StableDiffusion>,
    prompts: Prompts,
    batch: usize,
    guided: bool,
    encode: EncodeText,
    conditioning: Option<Conditioning>,
    ready: bool,
}

impl TextStage {
    /// For `batch` latents; `guided`: rows without and with the prompt, otherwise only with.
    pub(super) fn new(model: &Arc<StableDiffusion>, prompts: &Prompts, batch: usize, guided: bool) -> Result<Self> {
        let mut texts = prompts.positive.clone();
        if guided {
            texts.push(prompts.negative.clone());
        }
        let encode = EncodeText::new(model, &texts)?;
        let (model, prompts) = (model.clone(), prompts.clone());
        Ok(Self { model, prompts, batch, guided, encode, conditioning: None, ready: false })
    }

    /// Tokens of the longest prompt that did not fit the text encoder.
    pub(super) fn truncated(&self) -> usize {
        self.encode.truncated.iter().copied().max().unwrap_or(0)
    }

    /// The next recording, or `None` when the conditioning is ready.
    pub(super) fn next(&mut self) -> Option<&mut Recording> {
        match (&mut self.conditioning, self.ready) {
            (_, true) => None,
            (Some(conditioning), _) => Some(conditioning.recording()),
            (None, _) => Some(self.encode.recording()),
        }
    }

    pub(super) fn done(&mut self) -> Result<()> {
        if self.conditioning.is_some() {
            self.ready = true;
            return Ok(());
        }
        let states = self.encode.states(&self.model)?;
        super::check_host(states.iter().flatten(), "text", self.encode.recording())?;
        let negative = states.len() - 1;
        let positive = (0..self.batch).map(|i| states[self.prompts.of(i)].as_slice());
        let rows: Vec<&[f32]> = if self.guided {
            (0..self.batch).map(|_| states[negative].as_slice()).chain(positive).collect()
        } else {
            positive.collect()
        };
        self.conditioning = Some(Conditioning::new(&self.model, &rows)?);
        Ok(())
    }

    /// The conditioning, once [`TextStage::next`] has returned `None`.
    pub(super) fn conditioning(&self) -> Option<&Conditioning> {
        self.conditioning.as_ref().filter(|_| self.ready)
    }
}
