//! The text stage that every job begins with.

use std::sync::Arc;

use syncline_kernels::gpu::Recording;

use crate::error::Result;
use crate::guidance::{Guidance, Row};
use crate::pipeline::{Conditioning, EncodeText, EncodedText, MicroConditions, StableDiffusion};

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

/// Runs the text encoders, then the keys and values of the context.
#[derive(Debug)]
pub(super) struct TextStage {
    model: Arc<StableDiffusion>,
    prompts: Prompts,
    batch: usize,
    guidance: Guidance,
    micro: MicroConditions,
    encode: EncodeText,
    conditioning: Option<Conditioning>,
}

/// Whether a row has the negative prompt's text.
fn is_negative(row: &Row) -> bool {
    matches!(row, Row::NegativePrompt | Row::Image | Row::Neither)
}

impl TextStage {
    /// For `batch` latents and the rows of `guidance`.
    pub(super) fn new(
        model: &Arc<StableDiffusion>,
        prompts: &Prompts,
        batch: usize,
        (guidance, micro): (Guidance, MicroConditions),
    ) -> Result<Self> {
        let negative = guidance.rows().iter().any(is_negative).then_some(prompts.negative.as_str());
        let encode = EncodeText::new(model, &prompts.positive, negative)?;
        let (model, prompts) = (model.clone(), prompts.clone());
        Ok(Self { model, prompts, batch, guidance, micro, encode, conditioning: None })
    }

    /// Tokens of the longest prompt that did not fit the text encoder.
    pub(super) fn truncated(&self) -> usize {
        self.encode.truncated.iter().copied().max().unwrap_or(0)
    }

    /// The recording to run next.
    pub(super) fn next(&mut self) -> &mut Recording {
        match &mut self.conditioning {
            Some(conditioning) => conditioning.recording(),
            None => self.encode.recording(),
        }
    }

    /// The conditioning, once both recordings have run.
    pub(super) fn done(&mut self) -> Result<Option<Conditioning>> {
        if let Some(conditioning) = self.conditioning.take() {
            return Ok(Some(conditioning));
        }
        let states = self.encode.states(&self.model)?;
        super::check_host(states.iter().flat_map(EncodedText::values), "text", self.encode.recording())?;
        let text = |row: &Row, i: usize| &states[if is_negative(row) { states.len() - 1 } else { self.prompts.of(i) }];
        let rows = self.guidance.rows().iter();
        let rows: Vec<&EncodedText> = rows.flat_map(|row| (0..self.batch).map(move |i| text(row, i))).collect();
        self.conditioning = Some(Conditioning::new(&self.model, &rows, self.micro)?);
        Ok(None)
    }
}
