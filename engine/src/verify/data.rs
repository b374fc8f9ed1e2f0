//! Inputs and expected outputs of a golden directory, and the two layouts of images.

use syncline_loader::config::GoldenMeta;
use syncline_loader::{HostTensor, ModelSource, Weights};

use crate::error::{Error, Result};
use crate::schedulers::NoiseScheduleConfig;

/// A golden directory's data.
#[derive(Debug)]
pub(super) struct Golden {
    label: String,
    pub meta: GoldenMeta,
    pub schedule: NoiseScheduleConfig,
    inputs: Weights,
    expected: Weights,
}

impl Golden {
    pub fn open(source: &ModelSource) -> Result<Self> {
        let label = source.label();
        let bad = |problem: String| Error::Golden { dir: label.clone(), problem };
        let missing = |file: &str| bad(format!("{file} is missing"));
        let data = |name: &str| -> Result<Weights> {
            source.golden_data(name)?.ok_or_else(|| missing(&format!("golden/{name}.safetensors")))
        };
        let (inputs, expected) = (data("inputs")?, data("expected")?);
        let meta = source.golden().cloned().ok_or_else(|| missing("golden/meta.json"))?;
        // Both configurations have diffusers' field names, so one is the other's form.
        let schedule = serde_json::to_value(source.scheduler_config()?)
            .and_then(serde_json::from_value)
            .map_err(|e| bad(format!("scheduler_config.json: {e}")))?;
        Ok(Self { meta, schedule, inputs, expected, label })
    }

    pub fn expected_names(&self) -> Vec<String> {
        self.expected.infos().map(|info| info.name.to_owned()).collect()
    }

    pub fn expected(&self, name: &str) -> Result<HostTensor> {
        self.lookup(&self.expected, name)
    }

    /// An expected tensor that may be absent.
    pub fn maybe_expected(&self, name: &str) -> Result<Option<HostTensor>> {
        Ok(self.expected.get(name)?)
    }

    pub fn input(&self, name: &str) -> Result<HostTensor> {
        self.lookup(&self.inputs, name)
    }

    /// An input image `[B, C, H, W]` as values in `[B, H, W, C]`, with those dimensions.
    pub fn image(&self, name: &str) -> Result<(Vec<f32>, [usize; 4])> {
        let host = self.input(name)?;
        let Ok(dims) = <[usize; 4]>::try_from(&host.shape[..]) else {
            return Err(self.bad(name, format!("shape {:?}, expected [B, C, H, W]", host.shape)));
        };
        let [b, c, h, w] = dims;
        Ok((channels_last(&host.to_f32(), dims), [b, h, w, c]))
    }

    /// Token ids.
    pub fn ids(&self, name: &str) -> Result<Vec<u32>> {
        let ids = self.input(name)?.to_i64();
        let convert = |id: i64| u32::try_from(id).map_err(|_| self.bad(name, format!("token id {id} is negative")));
        ids.into_iter().map(convert).collect()
    }

    pub fn bad(&self, name: &str, problem: impl std::fmt::Display) -> Error {
        Error::Golden { dir: self.label.clone(), problem: format!("{name}: {problem}") }
    }

    fn lookup(&self, weights: &Weights, name: &str) -> Result<HostTensor> {
        weights.get(name)?.ok_or_else(|| self.bad(name, "missing"))
    }
}

/// `[B, C, H, W]` to `[B, H, W, C]`; the dimensions are those of the input.
pub(super) fn channels_last(values: &[f32], [b, c, h, w]: [usize; 4]) -> Vec<f32> {
    transpose(values, b, c, h * w)
}

/// `[B, H, W, C]` to `[B, C, H, W]`; the dimensions are those of the input.
pub(super) fn channels_first(values: &[f32], [b, h, w, c]: [usize; 4]) -> Vec<f32> {
    transpose(values, b, h * w, c)
}

/// `[B, M, N]` to `[B, N, M]`.
fn transpose(values: &[f32], b: usize, m: usize, n: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for i in 0..b {
        for j in 0..m {
            for k in 0..n {
                out[(i * n + k) * m + j] = values[(i * m + j) * n + k];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_inverse() {
        let dims = [2, 3, 4, 5];
        let nchw: Vec<f32> = (0..120).map(|v| v as f32).collect();
        let nhwc = channels_last(&nchw, dims);
        // b 1, y 2, x 3, c 1
        assert_eq!(nhwc[((4 + 2) * 5 + 3) * 3 + 1], nchw[((3 + 1) * 4 + 2) * 5 + 3]);
        assert_eq!(channels_first(&nhwc, [2, 4, 5, 3]), nchw);
    }
}
