use std::collections::BTreeMap;

use super::*;
use crate::check::{Draw, F32_REDUCTION, Variant, assert_close, variants};
use crate::ops::finite::{self, Found};

/// A run's inputs as the kernel gets them, and as the oracle does.
struct Case {
    dims: [usize; 4],
    prompts: usize,
    particles: (Tensor, Vec<f64>),
    targets: (Tensor, Vec<f64>),
    sources: (Tensor, Vec<f64>),
    shares: (Tensor, Vec<f64>),
    bandwidth: Option<Bandwidth>,
    noise: bool,
    scalars: SteinScalars,
}

impl Case {
    fn random(variant: &Variant, draw: &mut Draw, dims: [usize; 4], prompts: usize, by_prompt: bool) -> Self {
        let [count, h, w, c] = dims;
        let rows = prompts * count;
        let mut values = |rows: usize| variant.normal(draw, &[rows, h, w, c]).unwrap();
        let (particles, targets) = (values(rows), values(rows));
        let sources = values(if by_prompt { rows } else { count });
        let shares: Vec<f64> = (0..rows).map(|_| draw.unit()).collect();
        Self {
            dims,
            prompts,
            particles,
            targets,
            sources,
            shares: variant.tensor(&shares, &[rows]).unwrap(),
            bandwidth: None,
            noise: false,
            scalars: SteinScalars { scale: 0.7, signal: 0.8, sigma: 0.6 },
        }
    }

    fn run(&self, variant: &Variant) -> (Vec<f64>, Found) {
        let report = finite::new_report(&variant.ctx).unwrap();
        let sources = if self.noise { Source::Noise(&self.sources.0) } else { Source::Estimates(&self.sources.0) };
        let shares = (self.prompts > 1).then_some(&self.shares.0);
        let got = variant
            .run(|rec| {
                let out = rec.temp(&self.dims, Elem::F32);
                let (particles, targets, scalars) = (&self.particles.0, &self.targets.0, self.scalars);
                let (bandwidth, report) = (self.bandwidth, &report);
                let out_of = &out;
                stein(rec, &Stein { particles, targets, sources, shares, bandwidth, out: out_of, report, scalars });
                out
            })
            .unwrap();
        (got, finite::take_report(&variant.ctx, &report).unwrap())
    }

    /// Δ of each particle.
    fn deltas(&self) -> Vec<f64> {
        let n: usize = self.dims[1..].iter().product();
        let of = |i: usize| -> f64 {
            let (particle, e) = (i / n, i % n);
            let prompt = |k: usize| {
                let row = k * self.dims[0] + particle;
                let by_prompt = self.sources.1.len() == self.targets.1.len();
                let source = self.sources.1[if by_prompt { row } else { particle } * n + e];
                let noise = (self.particles.1[row * n + e] - self.scalars.signal * source) / self.scalars.sigma;
                let share = if self.prompts > 1 { self.shares.1[row] } else { 1.0 };
                share * (self.targets.1[row * n + e] - if self.noise { noise } else { source })
            };
            (0..self.prompts).map(prompt).sum()
        };
        (0..self.dims[0] * n).map(of).collect()
    }

    /// Of the first prompt, which the kernel compares.
    fn compared(&self) -> &[f64] {
        &self.particles.1[..self.dims.iter().product()]
    }

    fn expected(&self) -> Vec<f64> {
        let count = self.dims[0];
        let deltas = self.deltas();
        let sums = match self.bandwidth {
            None => deltas,
            Some(bandwidth) => {
                let distances = oracle::distances(self.compared(), count);
                let inverse = oracle::inverse_bandwidth(&distances, bandwidth);
                oracle::gradients(self.compared(), &deltas, count, inverse)
            }
        };
        sums.into_iter().map(|v| self.scalars.scale * v).collect()
    }

    /// Equal estimates: no direction but the repulsion.
    fn without_direction(mut self, variant: &Variant) -> Self {
        let zeros = vec![0.0; self.targets.1.len()];
        let dims = self.targets.0.dims().to_vec();
        self.targets = variant.tensor(&zeros, &dims).unwrap();
        let zeros = vec![0.0; self.sources.1.len()];
        let dims = self.sources.0.dims().to_vec();
        self.sources = variant.tensor(&zeros, &dims).unwrap();
        self
    }
}

fn f32_variants() -> Vec<Variant> {
    variants().unwrap().into_iter().filter(|v| v.elem == Elem::F32).collect()
}

#[test]
fn matches_the_oracle() {
    for variant in f32_variants() {
        let mut draw = Draw::new(101);
        let mut seen = BTreeMap::<String, usize>::new();
        for case in 0..240 {
            let dims = [draw.dim(9), draw.dim(9), draw.dim(17), draw.dim(6)];
            let prompts = [1, 1, 2, 3][draw.below(4)];
            let mut run = Case::random(&variant, &mut draw, dims, prompts, case % 3 == 0);
            run.bandwidth = [None, Some(Bandwidth::ALL[case % 3])][usize::from(case % 4 > 0)];
            run.noise = draw.below(2) == 1;
            *seen.entry(format!("{:?} {}", run.bandwidth, run.noise)).or_default() += 1;
            let (got, found) = run.run(&variant);
            assert_eq!(found.count, 0);
            let name = format!("{} {case} {dims:?} {prompts} {:?} {}", variant.name, run.bandwidth, run.noise);
            assert_close(&name, &got, &run.expected(), F32_REDUCTION);
        }
        assert!(seen.len() == 8 && seen.values().all(|n| *n >= 20), "{seen:?}");
    }
}

/// More particles than a tile, a slab of the grid, and a chunk of partners hold; particles longer than a block of a sum.
#[test]
fn any_number_of_particles_of_any_size() {
    for variant in f32_variants() {
        let mut draw = Draw::new(102);
        for dims in [[33, 2, 3, 4], [64, 1, 5, 3], [65, 3, 3, 4], [131, 1, 2, 5], [3, 33, 65, 4], [2, 64, 64, 7]] {
            for bandwidth in Bandwidth::ALL {
                let mut run = Case::random(&variant, &mut draw, dims, 1, true);
                run.bandwidth = Some(bandwidth);
                let name = format!("{} {dims:?} {bandwidth:?}", variant.name);
                assert_close(&name, &run.run(&variant).0, &run.expected(), F32_REDUCTION);
            }
        }
    }
}

/// One particle sees nobody: K = 1 and R = 0, the uncoupled gradient to the bit, which is scale · (target − source).
#[test]
fn one_particle_is_score_distillation() {
    for variant in f32_variants() {
        let mut draw = Draw::new(103);
        for (case, bandwidth) in Bandwidth::ALL.into_iter().cycle().take(30).enumerate() {
            let dims = [1, draw.dim(9), draw.dim(9), draw.dim(6)];
            let mut run = Case::random(&variant, &mut draw, dims, 1, true);
            run.noise = case % 2 == 1;
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            let alone = bits(run.run(&variant).0);
            run.bandwidth = Some(bandwidth);
            assert_eq!(bits(run.run(&variant).0), alone, "{} {dims:?}", variant.name);
            if !run.noise {
                let host = run.targets.1.iter().zip(&run.sources.1).map(|(t, s)| 0.7 * (*t as f32 - *s as f32));
                assert_eq!(bits(host.map(f64::from).collect()), alone, "{}", variant.name);
            }
        }
    }
}

/// The authors' code divides by zero for two particles: the lower median of its four entries is one of the zeros.
#[test]
fn two_particles_are_finite() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(104);
    for bandwidth in Bandwidth::ALL {
        let mut run = Case::random(variant, &mut draw, [2, 4, 4, 4], 1, true);
        run.bandwidth = Some(bandwidth);
        let (got, found) = run.run(variant);
        assert_eq!(found.count, 0);
        assert_close(&format!("{bandwidth:?}"), &got, &run.expected(), F32_REDUCTION);
        let (deltas, half) = (run.deltas(), 64);
        // K is 1 in the code's form; 1/(B + 1) or 1/B by the distance itself being the median.
        let k = match bandwidth {
            Bandwidth::Guarded => 1.0 / 3.0,
            Bandwidth::Diagonal => 1.0,
            Bandwidth::Published => 0.5,
        };
        let still = run.without_direction(variant).run(variant).0;
        for i in 0..half {
            let expected = 0.7 * (deltas[i] + k * deltas[half + i]) + still[i];
            assert!((got[i] - expected).abs() < 1e-5, "{bandwidth:?} {i}: {} {expected}", got[i]);
        }
    }
}

/// Specification 8.6 c: equal particles share one gradient, w times the mean of all.
#[test]
fn equal_particles_share_the_mean() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(105);
    let dims = [5, 3, 4, 4];
    let mut run = Case::random(variant, &mut draw, dims, 1, true);
    let one = run.particles.1[..48].to_vec();
    run.particles = variant.tensor(&one.repeat(5), &dims).unwrap();
    run.scalars.scale = 0.3 / 5.0;
    for bandwidth in Bandwidth::ALL {
        run.bandwidth = Some(bandwidth);
        let (got, deltas) = (run.run(variant).0, run.deltas());
        for (i, value) in got.iter().enumerate() {
            let mean = (0..5).map(|j| deltas[48 * j + i % 48]).sum::<f64>() / 5.0;
            assert!((value - 0.3 * mean).abs() < 1e-6, "{bandwidth:?} {i}: {value} {mean}");
        }
    }
}

/// Specification 8.6 d: the repulsion adds up to nothing, and a step of descent takes particles apart.
#[test]
fn particles_repel_each_other() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(106);
    for bandwidth in Bandwidth::ALL {
        let mut run = Case::random(variant, &mut draw, [7, 4, 4, 4], 1, true).without_direction(variant);
        run.bandwidth = Some(bandwidth);
        let gradient = run.run(variant).0;
        let size = gradient.iter().map(|v| v.abs()).sum::<f64>() / gradient.len() as f64;
        assert!(size > 1e-3, "{bandwidth:?}: {size}");
        for e in 0..64 {
            let sum: f64 = (0..7).map(|i| gradient[64 * i + e]).sum();
            assert!(sum.abs() < 1e-5 * size, "{bandwidth:?} element {e}: {sum} of {size}");
        }
        let spread = |x: &[f64]| oracle::distances(x, 7).iter().flatten().map(|d| d.sqrt()).sum::<f64>();
        let moved: Vec<f64> = run.particles.1.iter().zip(&gradient).map(|(x, g)| x - g).collect();
        let (before, after) = (spread(&run.particles.1), spread(&moved));
        assert!(after > 1.001 * before, "{bandwidth:?}: {before} to {after}");
    }
}

/// Specification 8.6 e: R_i is the slope of Σ_j K_ij in X_i while h stands still, by central differences in f64.
#[test]
fn repulsion_is_the_kernels_slope() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(107);
    for bandwidth in Bandwidth::ALL {
        let mut run = Case::random(variant, &mut draw, [6, 2, 3, 4], 1, true).without_direction(variant);
        run.bandwidth = Some(bandwidth);
        run.scalars.scale = 1.0;
        let got = run.run(variant).0;
        let x = run.particles.1.clone();
        let inverse = oracle::inverse_bandwidth(&oracle::distances(&x, 6), bandwidth);
        for i in 0..x.len() {
            let near = |step: f64| {
                let mut x = x.clone();
                x[i] += step;
                oracle::distances(&x, 6)[i / 24].iter().map(|d| (-inverse * d).exp()).sum::<f64>()
            };
            let slope = (near(1e-5) - near(-1e-5)) / 2e-5;
            assert!((got[i] - slope).abs() < 1e-5 * slope.abs().max(0.1), "{bandwidth:?} {i}: {} {slope}", got[i]);
        }
    }
}

/// Specification 8.6 f: particles with independent noise share 1/(B + 1) of their estimates, whatever they show.
#[test]
fn independent_particles_share_little() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(108);
    for count in [4, 8, 12] {
        let dims = [count, 32, 32, 4];
        let mut run = Case::random(variant, &mut draw, dims, 1, true).without_direction(variant);
        run.bandwidth = Some(Bandwidth::Guarded);
        run.scalars.scale = 1.0;
        let still = run.run(variant).0;
        for j in 0..count {
            // Only particle j has a direction: 1 everywhere.
            let n = 32 * 32 * 4;
            let mut targets = vec![0.0; count * n];
            targets[j * n..(j + 1) * n].fill(1.0);
            run.targets = variant.tensor(&targets, &dims).unwrap();
            let got = run.run(variant).0;
            for i in 0..count {
                let k = (i * n..(i + 1) * n).map(|e| got[e] - still[e]).sum::<f64>() / n as f64;
                let expected = if i == j { 1.0 } else { 1.0 / (count as f64 + 1.0) };
                assert!((k / expected - 1.0).abs() < 0.1, "{count}: K of {i} and {j} is {k}, not {expected}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_is_reported_and_left_out() {
    let variant = &f32_variants()[0];
    let mut draw = Draw::new(109);
    let dims = [3, 2, 2, 3];
    let mut run = Case::random(variant, &mut draw, dims, 1, true);
    run.targets.1[13] = f64::NAN;
    run.targets = variant.tensor(&run.targets.1, &dims).unwrap();
    // Element 13 is channel 1 of pixel 4, in memory at 4 · 4 + 1.
    let (got, found) = run.run(variant);
    assert_eq!((found, got[13]), (Found { count: 1, first: 17 }, 0.0));
    run.bandwidth = Some(Bandwidth::Guarded);
    // Every particle takes a share of it.
    let (got, found) = run.run(variant);
    assert_eq!(found, Found { count: 3, first: 1 });
    assert!([1, 13, 25].iter().all(|i| got[*i] == 0.0) && got[0] != 0.0, "{got:?}");
}

/// No B²N: what 64 particles of 64 × 64 × 4 take is 64 times what one takes, within 1 % (pairs' distances are the rest).
#[test]
fn memory_is_linear_in_the_particles() {
    let variant = &f32_variants()[0];
    let per_particle = |count: usize| {
        let dims = [count, 64, 64, 4];
        let mut rec = Recorder::new(&variant.ctx);
        let report = finite::new_report(&variant.ctx).unwrap();
        let tensors: Vec<Tensor> =
            (0..4).map(|_| variant.ctx.upload(&vec![0.0; dims.iter().product()], &dims, Elem::F32).unwrap()).collect();
        let (particles, targets, out) = (&tensors[0], &tensors[1], &tensors[3]);
        let (shares, bandwidth, report, scalars) = (None, Some(Bandwidth::Guarded), &report, SteinScalars::default());
        let sources = Source::Estimates(&tensors[2]);
        stein(&mut rec, &Stein { particles, targets, sources, shares, bandwidth, out, report, scalars });
        let recording = rec.finish().unwrap();
        assert_eq!(recording.len(), 2, "the distances and the mix");
        let own: u64 = tensors.iter().map(Tensor::bytes).sum();
        (own + recording.slot_bytes()) as f64 / count as f64
    };
    let (few, many) = (per_particle(8), per_particle(64));
    assert!((many / few - 1.0).abs() < 0.01, "{few} bytes a particle of 8, {many} of 64");
}
