//! What a verification found.

use serde::Serialize;
use syncline_kernels::tensor::Elem;
use syncline_loader::{Dtype, HostTensor};

use super::VerifyOptions;

/// Largest relative L2 error of a kind of tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerances {
    /// One pass through one module.
    pub module: f64,
    /// Latents of a whole run, whose steps amplify differences.
    pub trajectory: f64,
    /// Least peak signal-to-noise ratio of a picture, in dB.
    pub image_psnr_db: f64,
}

impl Tolerances {
    /// Host arithmetic: schedulers and timesteps, whatever the storage.
    pub const HOST: f64 = 3e-5;

    /// Those of a storage type. The f32 floor (reference in f32 against reference in f64) is about 2e-6 relative on
    /// modules and 1e-5 on trajectories; a wrong epsilon moves an output by 2 to 19 floors.
    #[must_use]
    pub fn of(elem: Elem) -> Self {
        let (module, trajectory) = if elem == Elem::F16 { (3e-3, 2e-2) } else { (3e-5, 3e-4) };
        Self { module, trajectory, image_psnr_db: 40.0 }
    }
}

/// One expected tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorResult {
    /// Its name in `golden/expected.safetensors`.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Largest difference.
    pub max_abs: f64,
    /// L2 norm of the difference over that of the expected values.
    pub rel_l2: f64,
    /// Largest `rel_l2` that passes; for pictures the least `psnr_db`.
    pub tolerance: f64,
    /// Pictures alone: peak signal-to-noise ratio of the 8-bit values, in dB; 999 when all are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psnr_db: Option<f64>,
    /// Whether it passes.
    pub ok: bool,
}

/// The tensor closest to or furthest beyond its tolerance.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// Its name.
    pub name: String,
    /// Its relative L2 error.
    pub rel_l2: f64,
}

/// The whole verification; serialises to what `syncline verify --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The golden directory.
    pub dir: String,
    /// The adapter's name.
    pub adapter: String,
    /// `f32` or `f16`.
    pub precision: String,
    /// Whether every tensor passes and nothing was skipped without leave.
    pub ok: bool,
    /// The worst tensor, pictures left out; `None` when nothing was compared.
    pub worst: Option<Worst>,
    /// Every tensor compared.
    pub tensors: Vec<TensorResult>,
    /// Names that nothing here computes.
    pub skipped: Vec<String>,
    #[serde(skip)]
    allow_skipped: bool,
}

impl Report {
    pub(super) fn new(dir: String, adapter: String, options: &VerifyOptions) -> Self {
        Self {
            schema: 1,
            dir,
            adapter,
            precision: options.elem.to_string(),
            ok: false,
            worst: None,
            tensors: Vec::new(),
            skipped: Vec::new(),
            allow_skipped: options.allow_skipped,
        }
    }

    /// Works out `ok` and `worst`.
    pub(super) fn finish(&mut self) {
        let skipped_well = self.allow_skipped || self.skipped.is_empty();
        self.ok = skipped_well && !self.tensors.is_empty() && self.tensors.iter().all(|t| t.ok);
        let measured = self.tensors.iter().filter(|t| t.psnr_db.is_none());
        let ratio = |t: &TensorResult| if t.rel_l2.is_nan() { f64::INFINITY } else { t.rel_l2 / t.tolerance };
        self.worst = measured
            .max_by(|a, b| ratio(a).total_cmp(&ratio(b)))
            .map(|t| Worst { name: t.name.clone(), rel_l2: t.rel_l2 });
    }
}

fn tolerance(name: &str, elem: Elem) -> f64 {
    let tolerances = Tolerances::of(elem);
    if name.starts_with("sched.") || name.ends_with(".timesteps") {
        Tolerances::HOST
    } else if name.starts_with("traj.") {
        tolerances.trajectory
    } else {
        tolerances.module
    }
}

/// Compares values in the reference's own layout. Another number of values fails.
pub(super) fn compare(name: &str, found: &[f32], expected: &HostTensor, elem: Elem) -> TensorResult {
    let values = expected.to_f32();
    let pairs = || found.iter().zip(&values).map(|(a, b)| f64::from(*a) - f64::from(*b));
    let squares: f64 = pairs().map(|d| d * d).sum();
    let norm: f64 = values.iter().map(|&v| f64::from(v).powi(2)).sum();
    let same_length = found.len() == values.len();
    let rel_l2 = if !same_length {
        f64::INFINITY
    } else if norm == 0.0 {
        squares.sqrt()
    } else {
        (squares / norm).sqrt()
    };
    let is_picture = expected.dtype == Dtype::U8;
    let psnr_db = is_picture.then(|| {
        let mse = squares / values.len() as f64;
        if mse == 0.0 { 999.0 } else { 10.0 * (255.0 * 255.0 / mse).log10() }
    });
    let tolerance = if is_picture { Tolerances::of(elem).image_psnr_db } else { tolerance(name, elem) };
    // Written so that NaN fails.
    let within = psnr_db.map_or(rel_l2 <= tolerance, |psnr| psnr >= tolerance);
    TensorResult {
        name: name.to_owned(),
        shape: expected.shape.clone(),
        max_abs: pairs().fold(0.0, |most: f64, d| if d.is_nan() { f64::NAN } else { most.max(d.abs()) }),
        rel_l2,
        tolerance,
        psnr_db,
        ok: within && same_length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(found: &[f32], expected: &[f32], name: &str, elem: Elem) -> TensorResult {
        compare(name, found, &HostTensor::from_f32([expected.len()], expected), elem)
    }

    #[test]
    fn errors_are_relative_and_nan_fails() {
        let just_right = one(&[3.0 + 8e-5, 4.0], &[3.0, 4.0], "vae.dec", Elem::F32);
        assert!(just_right.ok && (just_right.rel_l2 - 1.6e-5).abs() < 1e-6, "{just_right:?}");
        assert!(!one(&[3.0 + 5e-4, 4.0], &[3.0, 4.0], "vae.dec", Elem::F32).ok);
        assert!(one(&[3.0 + 5e-4, 4.0], &[3.0, 4.0], "traj.ddim.latents", Elem::F32).ok);
        assert!(one(&[3.0 + 5e-3, 4.0], &[3.0, 4.0], "vae.dec", Elem::F16).ok);
        assert!(!one(&[f32::NAN, 4.0], &[3.0, 4.0], "traj.ddim.latents", Elem::F16).ok);
        assert!(!one(&[3.0], &[3.0, 4.0], "vae.dec", Elem::F32).ok);
        assert!(!one(&[3.0 + 5e-4, 4.0], &[3.0, 4.0], "sched.ddim.e.leading.x", Elem::F16).ok);
    }

    #[test]
    fn pictures_are_measured_in_decibels() {
        let expected = HostTensor::from_bytes(Dtype::U8, [4], vec![0, 10, 200, 255]);
        let result = compare("traj.ddim.image.u8", &[1.0, 11.0, 201.0, 254.0], &expected, Elem::F32);
        assert!(result.ok && (result.psnr_db.unwrap() - 48.13).abs() < 0.01, "{result:?}");
        let result = compare("traj.ddim.image.u8", &[4.0, 14.0, 204.0, 251.0], &expected, Elem::F32);
        assert!(!result.ok, "{result:?}");
    }

    #[test]
    fn skipped_names_fail_unless_allowed() {
        for allow_skipped in [false, true] {
            let options = VerifyOptions { elem: Elem::F32, allow_skipped };
            let mut report = Report::new("dir".into(), "adapter".into(), &options);
            report.tensors.push(one(&[1.0], &[1.0], "vae.dec", Elem::F32));
            report.skipped.push("controlnet.mid".into());
            report.finish();
            assert_eq!(report.ok, allow_skipped);
            assert_eq!(report.worst.unwrap().name, "vae.dec");
        }
    }
}
