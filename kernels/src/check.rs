//! How kernels are tested: random shapes and values, an oracle in f64 that shares no code with the kernel, poisoned
//! outputs, sentinels around every buffer, zero pad lanes, and a normalised error bound. Used by the kernels' own
//! tests and by the benches, which check before they time.

use half::f16;

use crate::gpu::{Context, ContextOptions, Profile, Recorder, Result};
use crate::tensor::{Elem, Tensor};

/// Normalised MSE bound for f32 elementwise and norm kernels.
pub const F32_ELEMENTWISE: f64 = 1e-7;
/// Normalised MSE bound for f32 products and sums of many terms.
pub const F32_REDUCTION: f64 = 1e-6;
/// Normalised MSE bound for f16 storage.
pub const F16: f64 = 5e-4;

/// A device profile and a storage type under which a kernel is tested.
#[derive(Debug)]
pub struct Variant {
    /// For messages.
    pub name: &'static str,
    /// A context of its own, strict.
    pub ctx: Context,
    /// Storage type of the float tensors.
    pub elem: Elem,
}

/// Every profile of the suite: f32, f16 with and without `SHADER_F16`, WebGPU's default limits without subgroups.
///
/// # Errors
/// When no adapter can be opened: GPU tests fail then, they never skip.
pub fn variants() -> Result<Vec<Variant>> {
    let open = |profile| Context::new(&ContextOptions { profile, ..ContextOptions::strict() });
    let full = open(Profile::default())?;
    let bare = open(Profile { webgpu_limits: true, shader_f16: false, subgroups: false, matrix: false })?;
    let mut list = vec![
        Variant { name: "f32", ctx: full.clone(), elem: Elem::F32 },
        Variant { name: "f32, default limits", ctx: bare.clone(), elem: Elem::F32 },
        Variant { name: "f16 packed, default limits", ctx: bare, elem: Elem::F16 },
    ];
    if full.caps().shader_f16 {
        list.push(Variant { name: "f16", ctx: full, elem: Elem::F16 });
    }
    Ok(list)
}

impl Variant {
    /// `f32_bound` for f32 storage, [`F16`] for f16 storage.
    #[must_use]
    pub fn bound(&self, f32_bound: f64) -> f64 {
        if self.elem == Elem::F16 { F16 } else { f32_bound }
    }

    /// A tensor of normal values, and those values as stored.
    ///
    /// # Errors
    /// When the upload fails.
    pub fn normal(&self, draw: &mut Draw, dims: &[usize]) -> Result<(Tensor, Vec<f64>)> {
        let values: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
        self.tensor(&values, dims)
    }

    /// A tensor of given values, and those values as stored.
    ///
    /// # Errors
    /// When the upload fails.
    pub fn tensor(&self, values: &[f64], dims: &[usize]) -> Result<(Tensor, Vec<f64>)> {
        self.tensor_as(values, dims, self.elem)
    }

    /// As [`Variant::tensor`] with an element type of its own.
    ///
    /// # Errors
    /// When the upload fails.
    pub fn tensor_as(&self, values: &[f64], dims: &[usize], elem: Elem) -> Result<(Tensor, Vec<f64>)> {
        let floats: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let stored = floats.iter().map(|&v| stored(v, elem)).collect();
        Ok((self.ctx.upload(&floats, dims, elem)?, stored))
    }

    /// Records with `f`, runs, checks sentinels and pad lanes, returns the values of the tensor `f` returned.
    ///
    /// # Errors
    /// When the run fails or a sentinel was overwritten.
    ///
    /// # Panics
    /// When a pad lane of the result is not zero.
    pub fn run(&self, f: impl FnOnce(&mut Recorder) -> Tensor) -> Result<Vec<f64>> {
        let mut rec = Recorder::new(&self.ctx);
        let out = f(&mut rec);
        let out = if out.is_resident() { out } else { rec.keep(&out)? };
        let mut recording = rec.finish()?;
        recording.run()?;
        self.ctx.verify_guards()?;
        self.assert_pads_zero(&out)?;
        Ok(self.ctx.read(&out)?.into_iter().map(f64::from).collect())
    }

    fn assert_pads_zero(&self, tensor: &Tensor) -> Result<()> {
        let (width, padded) = (tensor.shape().last(), tensor.shape().padded_last());
        let words = self.ctx.read_tensor_words(tensor)?;
        // The sign is left out: minus zero is zero.
        let lane = |i: usize| match tensor.elem() {
            Elem::F16 => (words[i / 2] >> (16 * (i % 2))) & 0x7fff,
            Elem::F32 | Elem::U32 => words[i] & 0x7fff_ffff,
        };
        for row in 0..tensor.shape().rows() {
            for column in width..padded {
                let bits = lane(row * padded + column);
                assert_eq!(bits, 0, "{}: pad lane {column} of row {row} of {:?}", self.name, tensor.shape());
            }
        }
        Ok(())
    }
}

fn stored(value: f32, elem: Elem) -> f64 {
    match elem {
        Elem::F16 => f64::from(f16::from_f32(value)),
        Elem::F32 | Elem::U32 => f64::from(value),
    }
}

/// Mean squared error over mean square of the expected values.
#[must_use]
pub fn nmse(got: &[f64], expected: &[f64]) -> f64 {
    let error: f64 = got.iter().zip(expected).map(|(a, b)| (a - b) * (a - b)).sum();
    let norm: f64 = expected.iter().map(|b| b * b).sum();
    if norm == 0.0 { error } else { error / norm }
}

/// Fails unless lengths agree, every value is finite and the normalised MSE is within `bound`.
///
/// # Panics
/// When it is not so.
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    if let Some(at) = got.iter().position(|v| !v.is_finite()) {
        panic!("{what}: value {at} is {} (expected {})", got[at], expected[at]);
    }
    let error = nmse(got, expected);
    if error > bound {
        let worst = |i: &usize| (got[*i] - expected[*i]).abs();
        let at = (0..got.len()).max_by(|a, b| worst(a).total_cmp(&worst(b))).unwrap_or(0);
        panic!("{what}: NMSE {error:.3e} > {bound:.1e}; worst at {at}: {} instead of {}", got[at], expected[at]);
    }
}

/// A small deterministic generator (splitmix64) for shapes and values.
#[derive(Clone, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Sizes at which kernels break: one, primes, tile sizes and their neighbours.
    const EDGES: [usize; 24] =
        [1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 127, 128, 129, 131];

    /// A generator from a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Uniform in (0, 1).
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A dimension up to `max`: half the time an awkward one.
    pub fn dim(&mut self, max: usize) -> usize {
        if self.bits() & 1 == 0 {
            let edges = Self::EDGES.iter().filter(|&&e| e <= max).count();
            Self::EDGES[self.below(edges)]
        } else {
            1 + self.below(max)
        }
    }

    /// One of the given values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}
