//! Walking the names of a checkpoint like directories, with every tensor accounted for.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Detail, LoadError, Result};
use crate::table::Table;
use crate::tensor::HostTensor;
use crate::weights::{Source, Weights};
use crate::{generate, names};

/// How many names a message lists.
const LISTED: usize = 10;

/// What was asked of the weights so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// File spellings of what was taken.
    taken: BTreeSet<String>,
    /// Names and shapes in the order of the requests.
    requests: Vec<(String, Vec<usize>)>,
    missing: Vec<String>,
    misshaped: Vec<String>,
    /// Modules whose LoRA products were added.
    merged: BTreeSet<String>,
}

impl Book {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is a plain record; a panic elsewhere cannot leave it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cheap cursor: a prefix and the weights it points into. Clones share the accounting.
///
/// ```
/// # use syncline_loader::{Dtype, Weights};
/// let weights = Weights::generated(0, "unet", Dtype::F16);
/// let resnet = weights.scope().at("down_blocks").at(0).at("resnets").at(1);
/// let gamma = resnet.take("norm1.weight", &[320])?;
/// assert_eq!(gamma.to_f32().len(), 320);
/// # Ok::<(), syncline_loader::LoadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scope {
    weights: Weights,
    prefix: String,
}

impl Scope {
    pub(crate) fn root(weights: Weights) -> Self {
        Scope { weights, prefix: String::new() }
    }

    /// The scope one level down: a name or an index.
    pub fn at(&self, part: impl Display) -> Scope {
        Scope { weights: self.weights.clone(), prefix: format!("{}{part}.", self.prefix) }
    }

    /// Full name of something in this scope.
    pub fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The weights this scope belongs to.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Whether the file holds this tensor, under its present or an older name. Always false for generated weights.
    pub fn has(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// Shape of a tensor as the file holds it.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let table = self.weights.inner.table()?;
        table.entry(table.resolve(&self.path(name))?).map(|entry| entry.shape.clone())
    }

    /// Takes a weight of exactly this shape.
    ///
    /// # Errors
    /// When it is missing, has another shape or no float type, or holds NaN or infinity.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<HostTensor> {
        let path = self.path(name);
        let inner = &*self.weights.inner;
        inner.book.lock().requests.push((path.clone(), shape.to_vec()));
        let stored = inner.additions.stored_shape(&path, shape);
        let tensor = match &inner.source {
            Source::Files(table) => self.take_from(table, &path, &stored)?,
            Source::Generated { seed, component, store } => {
                generate::tensor(*seed, component, &names::published(component, &path), &stored, *store)
            }
        };
        if inner.additions.is_empty() {
            return Ok(tensor);
        }
        let (tensor, module) = inner.additions.apply(&path, tensor)?;
        inner.book.lock().merged.extend(module);
        Ok(tensor)
    }

    /// Takes a weight that some files lack. A weight that is there must be right all the same.
    pub fn take_optional(&self, name: &str, shape: &[usize]) -> Result<Option<HostTensor>> {
        if self.has(name) { self.take(name, shape).map(Some) } else { Ok(None) }
    }

    fn take_from(&self, table: &Table, path: &str, shape: &[usize]) -> Result<HostTensor> {
        let book = &self.weights.inner.book;
        let Some(key) = table.resolve(path) else {
            book.lock().missing.push(path.to_owned());
            return Err(self.missing(table, path, shape));
        };
        let Some(tensor) = table.get(key)? else {
            return Err(self.missing(table, path, shape));
        };
        book.lock().taken.insert(key.to_owned());
        if !names::shape_fits(path, &tensor.shape, shape) {
            book.lock().misshaped.push(format!("{key} {:?} for {shape:?}", tensor.shape));
            return Err(self.misshaped(key, &tensor.shape, shape));
        }
        if !tensor.dtype.is_weight() {
            let detail = self.detail("a weight has an element type that is not supported").item(key);
            let detail = detail.found(tensor.dtype.name()).expected("F16, BF16 or F32");
            return Err(LoadError::WrongDtype(Box::new(detail.next("get the f16 or f32 version of this model"))));
        }
        self.check_finite(key, &tensor)?;
        Ok(tensor.reshaped(shape))
    }

    fn check_finite(&self, key: &str, tensor: &HostTensor) -> Result<()> {
        let (count, Some(first)) = tensor.nonfinite() else {
            return Ok(());
        };
        if self.weights.inner.allow_nonfinite.load(Ordering::Relaxed) {
            tracing::warn!("{key}: {count} NaN or infinite values let through");
            return Ok(());
        }
        let detail = self.detail("a weight holds values that are not finite numbers").item(key);
        let detail = detail.found(format!("{count} NaN or infinite of {}, the first at index {first}", tensor.len()));
        let detail =
            detail.expected("finite values only").next("download the file again; --allow-nonfinite loads it as it is");
        Err(LoadError::NonFinite(Box::new(detail)))
    }

    fn detail(&self, problem: &str) -> Detail {
        Detail::new(self.weights.label(), problem)
    }

    fn missing(&self, table: &Table, path: &str, shape: &[usize]) -> LoadError {
        let parent = path.rfind('.').and_then(|dot| path.get(..=dot)).unwrap_or("");
        let near: Vec<&str> = table.below(parent).take(4).collect();
        let around = match near.as_slice() {
            [] => format!("nothing under \"{parent}\""),
            names => format!("beside it {}", names.join(", ")),
        };
        let detail = self.detail("a tensor is missing").item(path).expected(format!("shape {shape:?}"));
        let detail = detail.found(format!("{around}; the file looks like {}", self.weights.family()));
        LoadError::MissingTensor(Box::new(detail.next(format!("syncline inspect {}", self.weights.label()))))
    }

    fn misshaped(&self, key: &str, found: &[usize], shape: &[usize]) -> LoadError {
        let detail = self.detail("a tensor has another shape than the configuration asks for").item(key);
        let detail = detail.found(format!("{found:?}; the file looks like {}", self.weights.family()));
        let next = format!("syncline inspect {}, and check that config.json belongs to it", self.weights.label());
        let detail = detail.expected(format!("{shape:?}")).next(next);
        LoadError::WrongShape(Box::new(detail))
    }
}

impl Weights {
    /// Names and shapes taken so far, in the order of the requests.
    pub fn requests(&self) -> Vec<(String, Vec<usize>)> {
        self.inner.book.lock().requests.clone()
    }

    /// Fails unless every tensor was taken or is ignored: each entry of `ignore` is a prefix or suffix of names and the
    /// reason why they are not needed. Buffers that no model reads (`position_ids`) are ignored by themselves.
    pub fn finish(&self, ignore: &[(&str, &str)]) -> Result<()> {
        let state = self.inner.book.lock();
        self.inner.additions.finish(&state.merged)?;
        let Some(table) = self.inner.table() else {
            return Ok(());
        };
        let ignored = |name: &str| {
            let rule = ignore.iter().find(|(p, _)| !p.is_empty() && (name.starts_with(p) || name.ends_with(p)));
            if let Some((_, reason)) = rule {
                tracing::debug!("{name} ignored: {reason}");
            }
            rule.is_some() || names::never_read(name) || self.inner.additions.skips(name)
        };
        let unused: Vec<&str> = table.names().filter(|name| !state.taken.contains(*name) && !ignored(name)).collect();
        self.report(&state.missing, &state.misshaped, &unused)
    }

    /// Compares all tensors with a whole table of expected names and shapes at once; messages list ten of each kind.
    pub fn compare(&self, expected: &[(String, Vec<usize>)], ignore: &[(&str, &str)]) -> Result<()> {
        let Some(table) = self.inner.table() else {
            return Ok(());
        };
        let (mut missing, mut misshaped, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (name, shape) in expected {
            match table.resolve(name).and_then(|key| table.entry(key).map(|entry| (key, entry))) {
                None => missing.push(name.clone()),
                Some((key, entry)) => {
                    known.insert(key);
                    if !names::shape_fits(name, &entry.shape, shape) {
                        misshaped.push(format!("{key} {:?} for {shape:?}", entry.shape));
                    }
                }
            }
        }
        let ignored =
            |name: &str| ignore.iter().any(|(p, _)| !p.is_empty() && (name.starts_with(p) || name.ends_with(p)));
        let unused = table.names().filter(|name| !known.contains(name) && !ignored(name) && !names::never_read(name));
        self.report(&missing, &misshaped, &unused.collect::<Vec<_>>())
    }

    fn report(&self, missing: &[String], misshaped: &[String], unused: &[&str]) -> Result<()> {
        if missing.is_empty() && misshaped.is_empty() && unused.is_empty() {
            return Ok(());
        }
        let mut parts = Vec::new();
        for (kind, names) in [("missing", strs(missing)), ("misshaped", strs(misshaped)), ("not used", unused.to_vec())]
        {
            if !names.is_empty() {
                parts.push(format!("{} {kind}: {}", names.len(), listed(&names)));
            }
        }
        let detail = Detail::new(self.label(), "the tensors do not match the model").found(parts.join("; "));
        let detail = detail.expected(format!("each tensor once; the file looks like {}", self.family()));
        Err(LoadError::Unaccounted(Box::new(detail.next(format!("syncline inspect {}", self.label())))))
    }
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn listed(names: &[&str]) -> String {
    let mut text = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        text.push_str(&format!(", and {} more", names.len() - LISTED));
    }
    text
}
