//! What every resnet of a UNet is told: the timestep and, in SDXL, pooled text and picture size.

use syncline_kernels::gpu::Recorder;
use syncline_kernels::ops::gemm::Activation;
use syncline_kernels::ops::timestep_embedding;
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_loader::config::UNet2DConditionConfig;

use super::AddedConditions;
use crate::error::Result;
use crate::nn::{Epilogue, Linear, Source, TwoInputLinear, cast};

/// Longest wavelength of the sinusoids over 2π.
const MAX_PERIOD: f64 = 10_000.0;
/// Numbers in SDXL's time ids: original height and width, crop top and left, target height and width.
pub(in crate::models) const TIME_IDS: usize = 6;

/// Width of the embedding.
pub(in crate::models) fn time_width(config: &UNet2DConditionConfig) -> usize {
    4 * config.block_out_channels[0]
}

/// Sinusoids of a number, `[B]` to `[B, dim]`.
#[derive(Clone, Copy, Debug)]
struct Sinusoids {
    dim: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    elem: Elem,
}

impl Sinusoids {
    fn record(&self, rec: &mut Recorder, values: &Tensor) -> Tensor {
        let &Self { dim, flip_sin_to_cos, freq_shift, elem } = self;
        let options =
            timestep_embedding::TimestepEmbedding { dim, flip_sin_to_cos, freq_shift, max_period: MAX_PERIOD, elem };
        timestep_embedding::timestep_embedding(rec, values, &options)
    }
}

const SILU: Epilogue<'static> = Epilogue { activation: Activation::Silu, residual: None };

/// silu(linear_2(silu(linear_1(sinusoids(t))))), in SDXL with the added conditions under the outer SiLU.
///
/// The outer SiLU is each resnet's own in the reference; all of them take it of the same vector.
#[derive(Debug)]
pub(in crate::models) struct TimeEmbedding {
    name: String,
    time_proj: Sinusoids,
    linear_1: Linear,
    second: Second,
}

#[derive(Debug)]
enum Second {
    Time(Linear),
    TimeAndAdded(Box<AddedEmbedding>),
}

/// `add_embedding` of the kind `text_time`.
#[derive(Debug)]
struct AddedEmbedding {
    add_time_proj: Sinusoids,
    /// Of the pooled text and the embedded time ids, which are never joined.
    linear_1: TwoInputLinear,
    /// `time_embedding.linear_2` and `add_embedding.linear_2`, whose results are added.
    linear_2: TwoInputLinear,
}

impl TimeEmbedding {
    pub fn load(model: &Source<'_>, config: &UNet2DConditionConfig) -> Result<Self> {
        let source = model.at("time_embedding");
        let (first, width) = (config.block_out_channels[0], time_width(config));
        let time_proj = Sinusoids {
            dim: first,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
            elem: model.elem(),
        };
        let sizes = config.addition_time_embed_dim.zip(config.projection_class_embeddings_input_dim);
        let second = match sizes.filter(|_| config.addition_embed_type.is_some()) {
            None => Second::Time(Linear::load(&source.at("linear_2"), width, width)?),
            Some((dim, inputs)) => {
                let add = model.at("add_embedding");
                let ids = TIME_IDS * dim;
                Second::TimeAndAdded(Box::new(AddedEmbedding {
                    add_time_proj: Sinusoids { dim, ..time_proj },
                    linear_1: TwoInputLinear::load(&add.at("linear_1"), [inputs - ids, ids], width)?,
                    linear_2: TwoInputLinear::load_sum([&source.at("linear_2"), &add.at("linear_2")], width, width)?,
                }))
            }
        };
        Ok(Self {
            name: source.name(),
            time_proj,
            linear_1: Linear::load(&source.at("linear_1"), first, width)?,
            second,
        })
    }

    /// Timesteps `[B]` to `[B, T]`.
    pub fn record(&self, rec: &mut Recorder, timesteps: &Tensor, added: Option<AddedConditions<'_>>) -> Tensor {
        rec.set_layer(&self.name);
        let sinusoids = self.time_proj.record(rec, timesteps);
        let hidden = self.linear_1.record(rec, &sinusoids, SILU);
        match (&self.second, added) {
            (Second::Time(linear_2), None) => linear_2.record(rec, &hidden, SILU),
            (Second::TimeAndAdded(add), Some(added)) => {
                let size = add.add_time_proj.record(rec, added.time_ids);
                let text = cast(rec, added.text_embeds, self.time_proj.elem);
                let size = size.reshape(&[text.dims()[0], TIME_IDS * add.add_time_proj.dim]);
                let extra = add.linear_1.record(rec, [&text, &size], Activation::Silu);
                add.linear_2.record(rec, [&hidden, &extra], Activation::Silu)
            }
            (Second::Time(_), Some(_)) => panic!("UNet2DConditionModel: added conditions for a model without them"),
            (Second::TimeAndAdded(_), None) => panic!("UNet2DConditionModel: added conditions are missing"),
        }
    }
}
