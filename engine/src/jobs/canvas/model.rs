//! What a canvas is sampled with: a model with its prompts, or in tests an analytic one.

use std::ops::Range;
use std::sync::Arc;

use syncline_kernels::gpu::{Context, Recording};

use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::guidance::{Guidance, Row};
use crate::jobs::check_host;
use crate::methods::Plan;
use crate::pipeline::{Conditioning, EncodeText, EncodedText, GuidedUNet, MicroConditions, StableDiffusion};
use crate::spaces::{Space, View};

/// A denoiser for the views of a canvas. Models that need no preparation, no texts and no autoencoder say only where they are and
/// what their denoisers are.
pub trait CanvasModel {
    /// The device it computes on.
    fn context(&self) -> &Context;

    /// The next recording to run before anything else, or `None` when it is ready.
    ///
    /// # Errors
    /// When the device has no room.
    fn next(&mut self) -> Result<Option<&mut Recording>> {
        Ok(None)
    }

    /// The recording that `next` gave has run.
    ///
    /// # Errors
    /// A numeric failure in its results.
    fn done(&mut self) -> Result<()> {
        Ok(())
    }

    /// Aims it at these views. Returns how many recordings of [`CanvasModel::conditioning`] must run before the next evaluation.
    ///
    /// # Errors
    /// When the device is lost.
    fn look(&mut self, _views: &[View]) -> Result<usize> {
        Ok(0)
    }

    /// Recording `part` of the last [`CanvasModel::look`].
    fn conditioning(&mut self, _part: usize) -> Option<&mut Recording> {
        None
    }

    /// The denoisers in the order of their rows, at least one: each computes `batch()` views, one or several whole branches. They
    /// can be recorded once `next` has nothing more to run.
    fn denoisers(&self) -> Vec<&dyn Denoiser>;

    /// `[h, w, C]` of a view's latents.
    fn latent_dims(&self) -> [usize; 3] {
        self.denoisers().first().map_or([0; 3], |denoiser| denoiser.latent_dims())
    }

    /// The autoencoder between latents and RGB; models without one work on latent canvases.
    fn autoencoder(&self) -> Option<&Arc<StableDiffusion>> {
        None
    }

    /// Tokens of the longest prompt that were cut off.
    fn truncated_tokens(&self) -> usize {
        0
    }
}

/// What each view is to show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewPrompts {
    /// What to show where nothing else is said.
    pub prompt: String,
    /// What not to show.
    pub negative: String,
    /// Prompts of regions, by their index.
    pub regions: Vec<String>,
    /// Prompts of branches, by their index; a region's comes before.
    pub branches: Vec<String>,
    /// Appended where a view looks up by more than [`ViewPrompts::beyond`], and where it looks down.
    pub steep: Option<[String; 2]>,
    /// Elevation in degrees.
    pub beyond: f64,
}

impl ViewPrompts {
    /// One prompt for all.
    #[must_use]
    pub fn new(prompt: &str, negative: &str) -> Self {
        Self { prompt: prompt.to_owned(), negative: negative.to_owned(), ..Self::default() }
    }

    /// The text of a view.
    #[must_use]
    pub fn text(&self, view: &View) -> String {
        let branch = self.branches.get(view.branch()).unwrap_or(&self.prompt);
        let base = view.region().and_then(|region| self.regions.get(region)).unwrap_or(branch);
        let elevation = view.direction.map_or(0.0, |[_, elevation]| elevation);
        match &self.steep {
            Some([up, _]) if elevation > self.beyond => append(base, up),
            Some([_, down]) if elevation < -self.beyond => append(base, down),
            _ => base.clone(),
        }
    }
}

/// The suffix leads: what stands first in a prompt weighs most, and a view of the ground shows no horizon.
fn append(base: &str, suffix: &str) -> String {
    if suffix.is_empty() { base.to_owned() } else { format!("{suffix}, {base}") }
}

/// A Stable Diffusion model with the prompts of all views.
#[derive(Debug)]
pub struct PromptedUNet {
    unet: GuidedUNet,
    prompts: ViewPrompts,
    texts: Vec<String>,
    encode: EncodeText,
    /// States of each text, the negative prompt last.
    states: Vec<EncodedText>,
    /// Which text each view has now.
    shown: Vec<usize>,
}

impl PromptedUNet {
    /// Checks sizes and records the text encoder on every text that any view of the plan needs. The only denoiser, for the views
    /// of all branches.
    ///
    /// # Errors
    /// When the model takes more than latents, a size is refused or the device has no room.
    pub fn new(model: &Arc<StableDiffusion>, prompts: ViewPrompts, plan: &Plan, space: &dyn Space) -> Result<Self> {
        Self::with_rows(model, prompts, plan, space, (0, 0..space.view_count()))
    }

    /// As [`PromptedUNet::new`], for the views of one branch of the plan: one of the models of [`super::Branched`], where model b
    /// belongs to branch b.
    ///
    /// # Errors
    /// As [`PromptedUNet::new`].
    pub fn for_branch(
        model: &Arc<StableDiffusion>,
        prompts: ViewPrompts,
        plan: &Plan,
        space: &dyn Space,
        branch: usize,
    ) -> Result<Self> {
        Self::for_branches(model, prompts, plan, space, (branch, branch..branch + 1))
    }

    /// As [`PromptedUNet::new`], for the views of some branches: model `number` of [`super::Branched`].
    ///
    /// # Errors
    /// As [`PromptedUNet::new`].
    pub fn for_branches(
        model: &Arc<StableDiffusion>,
        prompts: ViewPrompts,
        plan: &Plan,
        space: &dyn Space,
        (number, branches): (usize, Range<usize>),
    ) -> Result<Self> {
        let count = space.view_count() / plan.branches;
        Self::with_rows(model, prompts, plan, space, (number, branches.start * count..branches.end * count))
    }

    fn with_rows(
        model: &Arc<StableDiffusion>,
        prompts: ViewPrompts,
        plan: &Plan,
        space: &dyn Space,
        (number, rows): (usize, Range<usize>),
    ) -> Result<Self> {
        model.require_plain_latents()?;
        let scale = if plan.guided(number) { 2.0 } else { 1.0 };
        let guidance = Guidance::ClassifierFree { scale }.reduced();
        let texts = texts_of(&prompts, plan, space, &rows);
        Self::guided(model, prompts, space, texts, (guidance, rows.len()))
    }

    /// An `InstructPix2Pix` model for the views of some branches, which it sees beside the image latents in
    /// [`crate::methods::ViewReg::Condition`]. Prompts are instructions; where they say no more than the negative prompt, their
    /// row of guidance says what the image's does and is left out. `[text, image]` are the scales of guidance.
    ///
    /// # Errors
    /// When the model takes no image latents, a scale is no number, a size is refused or the device has no room.
    pub fn instructed(
        model: &Arc<StableDiffusion>,
        prompts: ViewPrompts,
        plan: &Plan,
        space: &dyn Space,
        (branches, [text, image]): (Range<usize>, [f64; 2]),
    ) -> Result<Self> {
        model.require_image_latents()?;
        let count = space.view_count() / plan.branches;
        let rows = branches.start * count..branches.end * count;
        let texts = texts_of(&prompts, plan, space, &rows);
        let silent = texts.iter().all(|text| *text == prompts.negative);
        let all = Guidance::InstructPix2Pix { text, image }.checked();
        let all =
            all.map_err(|e| Error::Input { what: e.name, found: e.found.to_string(), expected: "a number".into() })?;
        let guidance = if silent { Guidance::Image { image } } else { all };
        Self::guided(model, prompts, space, texts, (guidance, rows.len()))
    }

    fn guided(
        model: &Arc<StableDiffusion>,
        prompts: ViewPrompts,
        space: &dyn Space,
        texts: Vec<String>,
        (guidance, batch): (Guidance, usize),
    ) -> Result<Self> {
        let [height, width] = space.view_size();
        let size = model.latent_size(height, width)?;
        let encode = EncodeText::new(model, &texts, Some(&prompts.negative))?;
        let unet = GuidedUNet::new(model, guidance, batch, size);
        let (states, shown) = (Vec::new(), Vec::new());
        Ok(Self { unet, prompts, texts, encode, states, shown })
    }

    fn rows(&self) -> Vec<&EncodedText> {
        let negative = &self.states[self.texts.len()];
        let text = |row: &Row, i: &usize| match row {
            Row::Prompt | Row::PromptAndImage => &self.states[*i],
            Row::NegativePrompt | Row::Image | Row::Neither => negative,
        };
        self.unet.guidance.rows().iter().flat_map(|row| self.shown.iter().map(move |i| text(row, i))).collect()
    }
}

/// Every text that these rows of views need in any step of the plan.
fn texts_of(prompts: &ViewPrompts, plan: &Plan, space: &dyn Space, rows: &Range<usize>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let steps: std::collections::BTreeSet<usize> = plan.looks().collect();
    for view in steps.iter().flat_map(|step| space.views(*step)[rows.clone()].to_vec()) {
        let text = prompts.text(&view);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

impl CanvasModel for PromptedUNet {
    fn context(&self) -> &Context {
        &self.unet.model.ctx
    }

    fn next(&mut self) -> Result<Option<&mut Recording>> {
        Ok(self.states.is_empty().then(|| self.encode.recording()))
    }

    fn done(&mut self) -> Result<()> {
        let model = self.unet.model.clone();
        let states = self.encode.states(&model)?;
        check_host(states.iter().flat_map(EncodedText::values), "text", self.encode.recording())?;
        self.states = states;
        // Any text for now, so that the denoiser can be recorded; the first look brings the right ones.
        self.shown = vec![usize::MAX; self.unet.batch];
        let rows = vec![&self.states[self.texts.len()]; self.unet.batch * self.unet.guidance.rows().len()];
        // A view is a picture of its own to models that are told sizes.
        let micro = MicroConditions::whole(self.unet.pixels());
        self.unet.conditioning = Some(Conditioning::new(&model, &rows, micro)?);
        Ok(())
    }

    fn look(&mut self, views: &[View]) -> Result<usize> {
        let text = |view: &View| {
            let text = self.prompts.text(view);
            self.texts.iter().position(|known| *known == text).ok_or(text)
        };
        let shown = views.iter().map(text).collect::<Result<Vec<_>, _>>();
        let shown = shown.map_err(|text| Error::Input {
            what: "view prompt",
            found: text,
            expected: "a text of the views the plan was made for".into(),
        })?;
        if shown == self.shown {
            return Ok(0);
        }
        self.shown = shown;
        if let Some(conditioning) = &self.unet.conditioning {
            conditioning.write(&self.unet.model, &self.rows())?;
        }
        Ok(1)
    }

    fn conditioning(&mut self, _: usize) -> Option<&mut Recording> {
        self.unet.conditioning.as_mut().map(Conditioning::recording)
    }

    fn denoisers(&self) -> Vec<&dyn Denoiser> {
        vec![&self.unet]
    }

    fn autoencoder(&self) -> Option<&Arc<StableDiffusion>> {
        Some(&self.unet.model)
    }

    fn truncated_tokens(&self) -> usize {
        self.encode.truncated.iter().copied().max().unwrap_or(0)
    }
}
