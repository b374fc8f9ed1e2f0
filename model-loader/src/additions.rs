//! What is added to a component's tensors while they are taken: low-rank products, and rows of the token table.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Detail, LoadError, Result};
use crate::lora::{self, Delta};
use crate::tensor::HostTensor;

/// End of the name of a text encoder's token table.
const TOKEN_TABLE: &str = "embeddings.token_embedding.weight";

/// Additions to one component.
#[derive(Clone, Debug, Default)]
pub(crate) struct Additions {
    /// Products by folded module name.
    pub deltas: BTreeMap<String, Vec<Delta>>,
    /// `[n, D]` values of tokens behind the vocabulary.
    pub rows: Option<(Vec<f32>, usize)>,
    /// The first layer of a text encoder that is left out.
    pub first_skipped: Option<usize>,
}

impl Additions {
    pub fn is_empty(&self) -> bool {
        self.deltas.is_empty() && self.rows.is_none()
    }

    /// Whether a tensor or module belongs to a layer that is left out.
    pub fn skips(&self, name: &str) -> bool {
        let Some(first) = self.first_skipped else { return false };
        let after = ["encoder.layers.", "encoder_layers_"].into_iter().find_map(|mark| name.split_once(mark));
        let number = after.and_then(|(_, rest)| rest.split(['.', '_']).next()?.parse::<usize>().ok());
        number.is_some_and(|layer| layer >= first)
    }

    /// The shape that the file has of a tensor that is asked for with `shape`.
    pub fn stored_shape(&self, path: &str, shape: &[usize]) -> Vec<usize> {
        let mut stored = shape.to_vec();
        if let (Some((values, width)), true) = (&self.rows, path.ends_with(TOKEN_TABLE)) {
            let added = values.len() / width.max(&1);
            if let Some(rows) = stored.first_mut() {
                *rows = rows.saturating_sub(added);
            }
        }
        stored
    }

    /// The tensor with everything that belongs to `path` added, and the module whose products were, if any.
    pub fn apply(&self, path: &str, tensor: HostTensor) -> Result<(HostTensor, Option<String>)> {
        if let (Some((values, width)), true) = (&self.rows, path.ends_with(TOKEN_TABLE)) {
            let mut all = tensor.to_f32();
            all.extend(values);
            let rows = all.len() / width.max(&1);
            return Ok((HostTensor::from_f32(vec![rows, *width], &all), None));
        }
        let Some(module) = path.strip_suffix(".weight").map(lora::folded) else { return Ok((tensor, None)) };
        match self.deltas.get(&module) {
            Some(deltas) => Ok((lora::merged(&tensor, path, deltas)?, Some(module))),
            None => Ok((tensor, None)),
        }
    }

    /// Fails when products were left over: the model has no such layers.
    pub fn finish(&self, used: &BTreeSet<String>) -> Result<()> {
        let unused: Vec<&Delta> =
            self.deltas.iter().filter(|(module, _)| !used.contains(*module)).flat_map(|(_, deltas)| deltas).collect();
        let Some(first) = unused.first() else { return Ok(()) };
        let detail = Detail::new(&first.label, "the LoRA changes layers that the model does not have");
        let detail = detail.item(&first.layer.name).found(format!("{} such layers", unused.len()));
        let detail = detail.expected("layers of this model");
        Err(LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {}", first.label)))))
    }
}
