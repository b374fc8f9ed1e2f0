//! What a canvas job gives.

use super::model::CanvasModel;
use super::recordings::Key;
use super::work::Work;
use super::{CanvasOptions, CanvasProgram};
use crate::error::Result;
use crate::methods::{CanvasReg, Medium, ViewReg};

/// The canvas and what it was made of.
#[derive(Clone, Debug, Default)]
pub struct CanvasResult {
    /// `[height, width]` of the canvas.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row; black where no view looks. Empty for models without an autoencoder.
    pub rgb: Vec<f32>,
    /// Sum of weights per texel over the last views of all sets; 0 where no view looks.
    pub coverage: Vec<f32>,
    /// The last views of each set fused alone, as hard tiles before any feathering: RGB and coverage.
    pub sets: Vec<(Vec<f32>, Vec<f32>)>,
    /// `[height, width]` of a view.
    pub view_size: [usize; 2],
    /// The last views of each set, RGB in 0..=1; of the one branch, where only that was made into the picture.
    pub views: Vec<Vec<f32>>,
    /// The last latents of the views, `[V, h, w, C]`.
    pub latents: Vec<f32>,
    /// The last clean estimates (or gradients) of the views, `[V, h, w, C]`.
    pub clean: Vec<f32>,
    /// A latent canvas, `[H, W, C]`; empty where the canvas is the picture.
    pub canvas: Vec<f32>,
    /// Network evaluations, counting each view and each guidance row.
    pub evaluations: usize,
}

/// A look at a running job.
#[derive(Clone, Debug)]
pub struct Preview {
    /// `[height, width]`.
    pub size: [usize; 2],
    /// RGB in 0..=1, row by row.
    pub rgb: Vec<f32>,
}

impl<M: CanvasModel> CanvasProgram<M> {
    /// The picture as it is now, or `None` before there is one. Reads the whole canvas back: not for every step.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn preview(&self) -> Result<Option<Preview>> {
        let size = self.options.space.canvas_size();
        let rgb = self.options.plan.medium == Medium::Rgb;
        let Some(work) = self.work.as_ref().filter(|_| rgb) else { return Ok(None) };
        let Some(picture) = &work.registers.picture else { return Ok(None) };
        let rgb = picture.read()?.into_iter().map(|v| v.clamp(0.0, 1.0)).collect();
        Ok(Some(Preview { size, rgb }))
    }
}

impl Work {
    /// Reads everything back.
    pub(super) fn finish<M: CanvasModel>(
        &mut self,
        model: &M,
        options: &CanvasOptions,
        evaluations: usize,
    ) -> Result<CanvasResult> {
        let ctx = self.ctx.clone();
        let space = options.space.as_ref();
        let rgb = options.plan.medium == Medium::Rgb;
        let mut result = CanvasResult {
            size: space.canvas_size(),
            view_size: space.view_size(),
            latents: ctx.read(&self.registers.get(ViewReg::State)?)?,
            clean: ctx.read(&self.registers.get(ViewReg::Clean)?)?,
            canvas: if rgb { Vec::new() } else { ctx.read(&self.registers.get(CanvasReg::Canvas)?)? },
            evaluations,
            ..CanvasResult::default()
        };
        let Some(picture) = self.registers.picture.clone().filter(|_| model.autoencoder().is_some()) else {
            return Ok(result);
        };
        result.rgb = picture.read()?;
        result.coverage = vec![0.0; result.size[0] * result.size[1]];
        let per_set = space.view_count();
        let kept = self.registers.kept_steps.clone();
        let branch = options.plan.picture_branch();
        for (set, step) in kept.iter().enumerate() {
            let Some(step) = step else { continue };
            self.look(&space.views(*step))?;
            let key = Key::Picture { set: Some(set), branch, overlap: false };
            self.recordings.get(key, space, &mut self.registers, &ctx)?;
            // Over a black canvas, so that nothing of other sets remains.
            picture.write(&vec![0.0; result.rgb.len()])?;
            if let Some(recording) = self.recordings.recording(key) {
                recording.run()?;
            }
            let coverage = ctx.read(&self.registers.coverage)?;
            result.coverage.iter_mut().zip(&coverage).for_each(|(sum, weight)| *sum += weight);
            result.sets.push((picture.read()?, coverage));
        }
        if let Some(views) = &self.registers.kept {
            let [height, width] = result.view_size;
            let values = ctx.read(views)?;
            let all = values.chunks_exact(height * width * 3);
            let rows = self.registers.rows(branch);
            let known = all.enumerate().filter(|(i, _)| kept[i / per_set].is_some() && rows.contains(&(i % per_set)));
            let unit = |view: &[f32]| view.iter().map(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)).collect();
            result.views = known.map(|(_, view)| unit(view)).collect();
        }
        picture.write(&result.rgb)?;
        Ok(result)
    }
}
