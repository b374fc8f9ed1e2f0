//! Stein variational gradients of the views of a set.

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::stein::{self, Source, SteinScalars, SteinShape, stein};
use syncline_kernels::tensor::{Elem, Tensor};

use super::CanvasOptions;
use super::Regions;
use super::registers::{Registers, rows_of};
use crate::error::{Error, Result};
use crate::methods::{Op, Reg, Stein, SteinSource, ViewReg};
use crate::spaces::{Geometry, Space, View};

/// The recording of a plan's gradients, which are all of one kind.
#[derive(Debug)]
pub(super) struct SteinRecording {
    ctx: Context,
    pub(super) recording: Recording,
    id: DispatchId,
    shape: SteinShape,
    shares: Option<Shares>,
}

/// How much each prompt counts in each particle.
#[derive(Debug)]
struct Shares {
    tensor: Tensor,
    /// By the place of a view: the share of each region.
    known: std::collections::HashMap<[u32; 2], Vec<f32>>,
    regions: Regions,
    canvas: [usize; 2],
    cells: [usize; 2],
}

/// What makes two gradients the same recording.
fn kind(op: &Stein) -> impl PartialEq {
    (op.prompts, op.source, op.coupling)
}

impl SteinRecording {
    /// `None` for plans without such gradients. What is not finite is counted in `report`.
    pub(super) fn new(
        ctx: &Context,
        options: &CanvasOptions,
        registers: &mut Registers,
        report: Option<&Tensor>,
    ) -> Result<Option<Self>> {
        let found = options.plan.ops.iter().filter_map(|op| if let Op::Stein(op) = op { Some(op) } else { None });
        let found: Vec<&Stein> = found.collect();
        let (Some(first), Some(report)) = (found.first(), report) else { return Ok(None) };
        check(options, &found)?;
        let count = options.space.view_count() / options.plan.branches;
        let targets = 0..first.prompts * count;
        let (states, estimates) = (registers.get(ViewReg::State)?, registers.get(ViewReg::Clean)?);
        let (particles, of_targets) = (rows_of(&states, &targets)?, rows_of(&estimates, &targets)?);
        let sources = match first.source {
            SteinSource::Noise => rows_of(&registers.get(ViewReg::Known)?, &targets)?,
            SteinSource::Branch => registers.get(Reg::Branch(ViewReg::Clean, first.prompts))?,
        };
        let out = rows_of(&registers.get(ViewReg::Kept)?, &(0..count))?;
        let several = (first.prompts > 1).then_some(options.regions.as_ref()).flatten();
        let shares =
            several.map(|regions| Shares::new(ctx, regions, options.space.as_ref(), &particles)).transpose()?;
        let mut rec = Recorder::new(ctx);
        rec.set_layer("stein");
        let id = stein(
            &mut rec,
            &stein::Stein {
                particles: &particles,
                targets: &of_targets,
                sources: if first.source == SteinSource::Noise {
                    Source::Noise(&sources)
                } else {
                    Source::Estimates(&sources)
                },
                shares: shares.as_ref().map(|shares| &shares.tensor),
                bandwidth: first.coupling,
                out: &out,
                report,
                scalars: SteinScalars::default(),
            },
        );
        let &[_, h, w, c] = particles.dims() else { unreachable!("latents are [V, h, w, C]") };
        let sources_by_prompt = sources.dims()[0] == particles.dims()[0];
        let bandwidth = first.coupling;
        let shape = SteinShape { dims: [count, h, w, c], prompts: first.prompts, sources_by_prompt, bandwidth };
        Ok(Some(Self { ctx: ctx.clone(), recording: rec.finish()?, id, shape, shares }))
    }

    /// Numbers of the next gradient.
    pub(super) fn set(&mut self, op: &Stein) {
        let scale = op.weight / self.shape.dims[0] as f64;
        let scalars = SteinScalars { scale, signal: op.level.signal, sigma: op.level.noise };
        self.recording.set_params(self.id, &stein::params(&self.shape, &scalars));
    }

    /// The views from now on.
    pub(super) fn look(&mut self, views: &[View]) -> Result<()> {
        let (count, prompts) = (self.shape.dims[0], self.shape.prompts);
        let Some(shares) = &mut self.shares else { return Ok(()) };
        let mut rows = vec![0.0; prompts * count];
        for (j, view) in views[..count].iter().enumerate() {
            for (k, share) in shares.of(view).iter().enumerate() {
                rows[k * count + j] = *share;
            }
        }
        Ok(self.ctx.write(&shares.tensor, &rows)?)
    }
}

/// Refuses what one recording cannot do.
fn check(options: &CanvasOptions, found: &[&Stein]) -> Result<()> {
    let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
    let Some(first) = found.first() else { return Ok(()) };
    if found.iter().any(|op| kind(op) != kind(first)) {
        return refuse("gradients of a plan", "of several kinds".into(), "all with one source and one kernel".into());
    }
    let needed = first.prompts + usize::from(first.source == SteinSource::Branch);
    if first.prompts == 0 || needed > options.plan.branches {
        let found = format!("{needed} in a plan of {}", options.plan.branches);
        return refuse("branches of a gradient", found, "prompts, and a source where estimates are compared".into());
    }
    let regions = options.regions.as_ref().map_or(1, |regions| regions.count);
    if first.prompts > 1 && regions != first.prompts {
        return refuse("regions", regions.to_string(), format!("{}, one for each prompt", first.prompts));
    }
    if first.prompts > 1 && options.space.geometry() != Geometry::Windows {
        return refuse("prompts by region", "a canvas that is not flat".into(), "windows of a flat canvas".into());
    }
    Ok(())
}

impl Shares {
    fn new(ctx: &Context, regions: &Regions, space: &dyn Space, particles: &Tensor) -> Result<Self> {
        let dims = particles.dims();
        let tensor = ctx.upload_named("shares", &vec![0.0; dims[0]], &[dims[0]], Elem::F32)?;
        let (canvas, cells) = (space.canvas_size(), [dims[1], dims[2]]);
        Ok(Self { tensor, known: std::collections::HashMap::new(), regions: regions.clone(), canvas, cells })
    }

    /// |view ∩ region| / |view|, by the middles of latent cells; they sum to one.
    fn of(&mut self, view: &View) -> Vec<f32> {
        let [x, y] = [view.words()[0], view.words()[1]];
        let (regions, canvas, cells) = (&self.regions, self.canvas, self.cells);
        let measure = || {
            let area = |region: usize| regions.seen(view, region, canvas, cells).map(f64::from).sum::<f64>();
            let areas: Vec<f64> = (0..regions.count).map(area).collect();
            let whole: f64 = areas.iter().sum();
            areas.into_iter().map(|area| (area / whole) as f32).collect()
        };
        self.known.entry([x.to_bits(), y.to_bits()]).or_insert_with(measure).clone()
    }
}

impl Regions {
    /// A region's weight where the latent cells of a view of a flat canvas have their middles, row by row.
    pub(super) fn seen<'a>(
        &'a self,
        view: &View,
        region: usize,
        [height, width]: [usize; 2],
        [h, w]: [usize; 2],
    ) -> impl Iterator<Item = f32> + 'a {
        let n = view.words();
        // The window's middle, canvas pixels to a view pixel, and its size in view pixels.
        let at = move |cell: usize, cells: usize, k: usize| {
            let offset = (cell as f32 + 0.5) / cells as f32 - 0.5;
            n[k] + offset * n[12 + k] * n[2 + k]
        };
        (0..h * w).map(move |i| {
            let column = at(i % w, w, 0).rem_euclid(width as f32) as usize;
            let row = at(i / w, h, 1).rem_euclid(height as f32) as usize;
            self.weights[(region * height + row.min(height - 1)) * width + column.min(width - 1)]
        })
    }
}
