//! A set of named tensors: one file, several shards, embedded bytes, or values computed from a seed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::additions::Additions;
use crate::blob::Blob;
use crate::error::Result;
use crate::locate::{self, Located};
use crate::scope::{Book, Scope};
use crate::table::Table;
use crate::tensor::{Dtype, HostTensor};

/// Name, shape and type of a tensor, without its data.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'a> {
    /// State-dict key as the file spells it.
    pub name: &'a str,
    /// Extents.
    pub shape: &'a [usize],
    /// Element type.
    pub dtype: Dtype,
}

/// Named tensors of one component. Clones share the data and the record of what was taken.
#[derive(Clone, Debug)]
pub struct Weights {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) label: String,
    pub(crate) source: Source,
    pub(crate) allow_nonfinite: AtomicBool,
    pub(crate) book: Book,
    pub(crate) additions: Additions,
}

#[derive(Debug)]
pub(crate) enum Source {
    Files(Table),
    Generated { seed: u64, component: String, store: Dtype },
}

impl Weights {
    /// Opens a `.safetensors` file, the index of a sharded checkpoint (`*.index.json`), or a component directory.
    ///
    /// In a directory the plain file is taken; the `.fp16` variant only if it is the only one there.
    pub fn open(path: &Path) -> Result<Weights> {
        Self::open_variant(path, None)
    }

    /// Like [`Weights::open`], but from a directory takes the named variant, such as `fp16`.
    pub fn open_variant(path: &Path, variant: Option<&str>) -> Result<Weights> {
        let (file, table) = match locate::locate(path, variant)? {
            Located::File(file) => (file.clone(), Table::open(&file)?),
            Located::Index(index) => (index.clone(), crate::shards::open(&index)?),
        };
        Ok(Self::new(file.display().to_string(), Source::Files(table)))
    }

    /// Reads a safetensors file that is already in memory. `label` stands for its name in messages.
    pub fn from_bytes(label: &str, bytes: impl Into<Blob>) -> Result<Weights> {
        let mut table = Table::default();
        table.add(label, bytes.into())?;
        Ok(Self::new(label.to_owned(), Source::Files(table)))
    }

    /// Weights that exist for whatever name and shape is taken: a pure function of the seed, the component (`unet`, `vae`,
    /// `text_encoder`, …) and the tensor's name, rounded to `store`. See [`crate::generate`].
    ///
    /// Nothing is optional here: [`Scope::has`] is false and [`Scope::take_optional`] finds nothing.
    pub fn generated(seed: u64, component: &str, store: Dtype) -> Weights {
        let label = format!("generated weights of {component}, seed {seed}");
        Self::new(label, Source::Generated { seed, component: component.to_owned(), store })
    }

    pub(crate) fn from_table(label: String, table: Table) -> Weights {
        Self::new(label, Source::Files(table))
    }

    fn new(label: String, source: Source) -> Self {
        let inner = Inner {
            label,
            source,
            allow_nonfinite: AtomicBool::new(false),
            book: Book::default(),
            additions: Additions::default(),
        };
        Weights { inner: Arc::new(inner) }
    }

    /// Whether NaN and infinite values are let through; by default taking such a tensor is an error.
    pub fn allow_nonfinite(self, allow: bool) -> Self {
        self.inner.allow_nonfinite.store(allow, Ordering::Relaxed);
        self
    }

    /// Adds to tensors while they are taken. Only for weights that have no clones yet.
    pub(crate) fn with_additions(mut self, additions: Additions) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.additions = additions;
        }
        self
    }

    /// A cursor at the root of the names.
    pub fn scope(&self) -> Scope {
        Scope::root(self.clone())
    }

    /// Where the weights come from, for messages.
    pub fn label(&self) -> &str {
        &self.inner.label
    }

    /// All tensors in the order of their names; nothing for generated weights.
    pub fn infos(&self) -> impl Iterator<Item = TensorInfo<'_>> + Clone {
        self.inner
            .table()
            .into_iter()
            .flat_map(|table| table.entries().map(|(name, e)| TensorInfo { name, shape: &e.shape, dtype: e.dtype }))
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.inner.table().map_or(0, Table::len)
    }

    /// Whether there are no tensors, as with generated weights before any is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Free-form pairs of the header's `__metadata__`.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inner.table().into_iter().flat_map(|t| t.metadata())
    }

    /// A tensor of any type by its exact name, without accounting and without a look at its values: for data files such as
    /// reference outputs. Models use [`Scope::take`].
    pub fn get(&self, name: &str) -> Result<Option<HostTensor>> {
        match self.inner.table() {
            Some(table) => table.get(name),
            None => Ok(None),
        }
    }

    /// What the tensors look like, in words.
    pub fn family(&self) -> String {
        crate::family::guess(self.infos())
    }
}

impl Inner {
    pub(crate) fn table(&self) -> Option<&Table> {
        match &self.source {
            Source::Files(table) => Some(table),
            Source::Generated { .. } => None,
        }
    }
}
