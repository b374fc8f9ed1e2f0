//! Stein variational gradients (Liu and Wang 2016) of particles with a Gaussian kernel, as collaborative score distillation uses
//! them (Kim et al. 2023, arXiv 2307.04787): estimates of near particles are shared, and particles repel each other.
//!
//! Two dispatches: the distances of all pairs, and the mix, which finds the kernel's bandwidth itself. Uncoupled there is one: the
//! difference that score distillation takes anyway. Memory is `B (B − 1) / 2` numbers beside what particles have.

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::noise::ImageShape;
use crate::gpu::{Access, DispatchId, Kernel, Launch, Recorder, Store};
use crate::tensor::{Elem, Tensor};

/// Squared distances of all pairs of particles.
pub const KERNEL_DISTANCES: Kernel = Kernel {
    name: "stein_distances",
    source: include_str!("distances.wgsl"),
    libs: &[],
    access: &[Access::Read, Access::Write],
    params: size_of::<DistanceParams>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[&[]],
};

/// The gradient.
pub const KERNEL: Kernel = Kernel {
    name: "stein",
    source: include_str!("stein.wgsl"),
    libs: &[],
    access: &[Access::Read, Access::Read, Access::Read, Access::Read, Access::Read, Access::Write, Access::ReadWrite],
    params: size_of::<Params>(),
    subgroups: false,
    stores: &[Store::F32],
    variants: &[
        &[("COUPLED", 0.0), ("SOURCE", 0.0), ("SHARES", 0.0)],
        &[("COUPLED", 0.0), ("SOURCE", 0.0), ("SHARES", 1.0)],
        &[("COUPLED", 0.0), ("SOURCE", 1.0), ("SHARES", 0.0)],
        &[("COUPLED", 0.0), ("SOURCE", 1.0), ("SHARES", 1.0)],
        &[("COUPLED", 1.0), ("SOURCE", 0.0), ("SHARES", 0.0)],
        &[("COUPLED", 1.0), ("SOURCE", 0.0), ("SHARES", 1.0)],
        &[("COUPLED", 1.0), ("SOURCE", 1.0), ("SHARES", 0.0)],
        &[("COUPLED", 1.0), ("SOURCE", 1.0), ("SHARES", 1.0)],
    ],
};

/// Shapes of real runs: particles `[B, h, w, C]`.
pub const CASES: &[(&str, [usize; 4])] = &[
    ("panorama, 4 windows", [4, 64, 64, 4]),
    ("8 particles", [8, 64, 64, 4]),
    ("video, 24 frames", [24, 64, 64, 4]),
    ("64 particles", [64, 64, 64, 4]),
    ("mini, 6 windows", [6, 16, 16, 4]),
];

/// Particles of a slab of the grid, as in the shader.
const SLAB: usize = 32;

/// Stands for "no median": K = 1 and no repulsion.
const RANK_NONE: u32 = u32::MAX;

/// Bandwidth h of the kernel exp(−D/h) by the median of the squared distances D.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bandwidth {
    /// Median over pairs of different particles, h = med / ln(B + 1): the code's, guarded for few particles.
    #[default]
    Guarded,
    /// Lower median over all B² entries, zeros of the diagonal among them, h = med / ln(B + 1): as in the authors' code, where it
    /// is zero for two particles.
    Diagonal,
    /// h = med² / ln B with the median of distances that are not squared, as printed; Liu and Wang's.
    Published,
}

impl Bandwidth {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Guarded, Self::Diagonal, Self::Published];

    /// Place of the median among the pairs' distances, smallest first. `None`: it is zero, or there is no pair.
    fn rank(self, count: usize) -> Option<usize> {
        let pairs = count * (count - 1) / 2;
        match self {
            // Every pair stands twice in the matrix, and the lower median is taken.
            _ if pairs == 0 => None,
            Self::Guarded | Self::Published => Some((pairs - 1) / 2),
            Self::Diagonal => ((count * count - 1) / 2).checked_sub(count).map(|rank| rank / 2),
        }
    }

    fn log(self, count: usize) -> f64 {
        let count = count as f64;
        if self == Self::Published { count.ln() } else { (count + 1.0).ln() }
    }
}

/// What targets are compared with.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Estimates, a row for each row of targets or one for each particle.
    Estimates(&'a Tensor),
    /// The noise that is in the particles; here the clean values they were made of, rows as above.
    Noise(&'a Tensor),
}

/// What changes from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteinScalars {
    /// w(t)/B.
    pub scale: f64,
    /// √ᾱ of the particles, for [`Source::Noise`].
    pub signal: f64,
    /// √(1 − ᾱ), for [`Source::Noise`]; above 0.
    pub sigma: f64,
}

impl Default for SteinScalars {
    fn default() -> Self {
        Self { scale: 1.0, signal: 0.0, sigma: 1.0 }
    }
}

/// Options of [`fn@stein`].
#[derive(Clone, Copy, Debug)]
pub struct Stein<'a> {
    /// Noisy particles `[P · B, h, w, C]` f32, prompt by prompt; the kernel compares the first B.
    pub particles: &'a Tensor,
    /// Noise estimates of the particles, same shape.
    pub targets: &'a Tensor,
    /// What is subtracted.
    pub sources: Source<'a>,
    /// Share of each prompt in each particle, f32 `[P · B]`; `None`: there is one prompt.
    pub shares: Option<&'a Tensor>,
    /// The kernel's bandwidth; `None`: particles do not see each other.
    pub bandwidth: Option<Bandwidth>,
    /// Receives the gradient `[B, h, w, C]` f32.
    pub out: &'a Tensor,
    /// Counts values that are not finite; made by `finite::new_report`.
    pub report: &'a Tensor,
    /// The numbers.
    pub scalars: SteinScalars,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct DistanceParams {
    count: u32,
    quads: u32,
    pairs: u32,
    pad: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    count: u32,
    quads: u32,
    prompts: u32,
    source_rows: u32,
    rank: u32,
    pairs: u32,
    scale: f32,
    log: f32,
    signal: f32,
    inverse_sigma: f32,
    pad: [u32; 2],
}

/// What the params of a [`fn@stein`] dispatch follow from beside its scalars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SteinShape {
    /// `[B, h, w, C]` of the gradient.
    pub dims: [usize; 4],
    /// Prompts P.
    pub prompts: usize,
    /// Whether sources have a row for each prompt.
    pub sources_by_prompt: bool,
    /// The kernel's bandwidth.
    pub bandwidth: Option<Bandwidth>,
}

/// Gradients of all particles. The id is for [`params()`] of the next step.
///
/// # Panics
/// When shapes or element types contradict each other, or a number is outside its range.
pub fn stein(rec: &mut Recorder, stein: &Stein<'_>) -> DispatchId {
    let shape = shape_of(stein);
    let (count, quads) = (shape.dims[0], quads(shape.dims));
    let limit = rec.context().caps().grid as usize;
    let grid = [quads.div_ceil(64), count.div_ceil(SLAB), 1];
    assert!(grid[0] <= limit && grid[1] <= limit && count <= limit, "stein: {:?} does not fit a grid", shape.dims);
    let distances = stein.bandwidth.map(|_| distances(rec, stein.particles, count));
    let unused = rec.temp(&[4], Elem::F32);
    let (kind, sources) = match stein.sources {
        Source::Estimates(sources) => (0.0, sources),
        Source::Noise(sources) => (1.0, sources),
    };
    let coupled = if stein.bandwidth.is_some() { 1.0 } else { 0.0 };
    let shared = if stein.shares.is_some() { 1.0 } else { 0.0 };
    let (particles, targets, out, report) = (stein.particles, stein.targets, stein.out, stein.report);
    let shares = stein.shares.unwrap_or(&unused);
    // Per element and pair: two differences, two factors and a sum; and the difference of estimates once a tile.
    let pairs = if stein.bandwidth.is_some() { count * count } else { 0 };
    rec.launch(&Launch {
        kernel: &KERNEL,
        store: Store::F32,
        overrides: &[("COUPLED", coupled), ("SOURCE", kind), ("SHARES", shared)],
        bind: &[distances.as_ref().unwrap_or(&unused), particles, targets, sources, shares, out, report],
        params: &params(&shape, &stein.scalars),
        grid: grid.map(|n| n as u32),
        flops: 4 * quads as u64 * (5 * pairs + 3 * shape.prompts * (count + pairs / 8)) as u64,
    })
}

fn shape_of(stein: &Stein<'_>) -> SteinShape {
    let dims = stein.out.dims();
    let &[count, h, w, c] = dims else { panic!("stein: gradient {dims:?} is not [B, h, w, C]") };
    let rows = stein.particles.dims()[0];
    let prompts = rows / count;
    let (Source::Estimates(sources) | Source::Noise(sources)) = stein.sources;
    for (what, tensor) in [("particles", stein.particles), ("targets", stein.targets), ("sources", sources)] {
        let found = tensor.dims();
        let known = if what == "sources" { found[0] == rows || found[0] == count } else { found[0] == rows };
        assert!(
            known && rows == prompts * count && found[1..] == [h, w, c] && tensor.elem() == Elem::F32,
            "stein: {what} {found:?} {} for {rows} particles in all and a gradient {dims:?}",
            tensor.elem()
        );
    }
    assert_eq!(stein.out.elem(), Elem::F32, "stein: gradient");
    let share = stein.shares.map(|shares| (shares.dims(), shares.elem()));
    assert!(
        share.map_or(prompts == 1, |found| found == (&[rows][..], Elem::F32))
            && stein.report.dims() == [4]
            && stein.report.elem() == Elem::U32,
        "stein: shares {share:?} for {prompts} prompts and {count} particles, report {:?}",
        stein.report.dims()
    );
    let sources_by_prompt = sources.dims()[0] == rows;
    SteinShape { dims: [count, h, w, c], prompts, sources_by_prompt, bandwidth: stein.bandwidth }
}

/// Elements of a particle as 4-vectors.
fn quads([_, h, w, c]: [usize; 4]) -> usize {
    h * w * c.div_ceil(4)
}

fn distances(rec: &mut Recorder, particles: &Tensor, count: usize) -> Tensor {
    let pairs = count * (count - 1) / 2;
    let distances = rec.temp(&[pairs.max(1)], Elem::F32);
    if pairs == 0 {
        return distances;
    }
    let shape = ImageShape::new("stein_distances", particles.dims());
    let quads = shape.pixels * shape.c4;
    let params = DistanceParams { count: count as u32, quads, pairs: pairs as u32, pad: 0 };
    rec.launch(&Launch {
        kernel: &KERNEL_DISTANCES,
        store: Store::F32,
        overrides: &[],
        bind: &[particles, &distances],
        params: bytemuck::bytes_of(&params),
        grid: [count as u32 - 1, count as u32 - 1, 1],
        flops: 12 * (pairs * quads as usize) as u64,
    });
    distances
}

/// Params of a [`fn@stein`] dispatch, for `Recording::set_params`.
///
/// # Panics
/// When a number is outside its range.
#[must_use]
pub fn params(shape: &SteinShape, scalars: &SteinScalars) -> Vec<u8> {
    let SteinShape { dims, prompts, sources_by_prompt, bandwidth } = *shape;
    let SteinScalars { scale, signal, sigma } = *scalars;
    assert!(scale.is_finite() && signal.is_finite() && sigma > 0.0, "stein: {scalars:?}");
    let count = dims[0];
    let rank = bandwidth.and_then(|bandwidth| bandwidth.rank(count));
    bytemuck::bytes_of(&Params {
        count: count as u32,
        quads: quads(dims) as u32,
        prompts: prompts as u32,
        source_rows: if sources_by_prompt { count as u32 } else { 0 },
        rank: rank.map_or(RANK_NONE, |rank| rank as u32),
        pairs: (count * (count - 1) / 2) as u32,
        scale: scale as f32,
        log: bandwidth.unwrap_or_default().log(count) as f32,
        signal: signal as f32,
        inverse_sigma: (1.0 / sigma) as f32,
        pad: [0; 2],
    })
    .to_vec()
}
