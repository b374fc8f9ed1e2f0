//! The tensors of one or more files: checked headers and the bytes they point into.

use std::collections::BTreeMap;
use std::path::Path;

use crate::blob::Blob;
use crate::error::Result;
use crate::header::{Entry, Header};
use crate::tensor::HostTensor;
use crate::{locate, names, strict_json};

/// Checked headers of one or more files and their bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    blobs: Vec<Blob>,
    tensors: BTreeMap<String, (usize, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl Table {
    pub(crate) fn open(path: &Path) -> Result<Table> {
        let mut table = Table::default();
        let label = path.display().to_string();
        let length = strict_json::regular_length(path)?;
        // An empty file cannot be mapped on every system.
        let blob = if length == 0 { Blob::Static(&[]) } else { Blob::map(path)? };
        table.add(&label, blob).map_err(|e| locate::mention_unfinished(e, path))?;
        Ok(table)
    }

    /// Adds the tensors of one more file. The caller excludes repeated names.
    pub(crate) fn add(&mut self, label: &str, blob: Blob) -> Result<()> {
        let header = Header::parse(label, blob.bytes())?;
        let index = self.blobs.len();
        self.tensors.extend(header.tensors.into_iter().map(|(name, entry)| (name, (index, entry))));
        self.metadata.extend(header.metadata);
        self.blobs.push(blob);
        Ok(())
    }

    /// Moves another file's tensors in.
    pub(crate) fn absorb(&mut self, other: Table) {
        let shift = self.blobs.len();
        self.blobs.extend(other.blobs);
        self.tensors.extend(other.tensors.into_iter().map(|(name, (index, entry))| (name, (index + shift, entry))));
        self.metadata.extend(other.metadata);
    }

    pub(crate) fn len(&self) -> usize {
        self.tensors.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> + Clone {
        self.tensors.iter().map(|(name, (_, entry))| (name.as_str(), entry))
    }

    pub(crate) fn metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        self.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Adds a tensor of `from` under another name, perhaps as a part of its bytes. Returns whether the name was free.
    pub(crate) fn add_view(&mut self, from: &Table, source: &str, name: String, entry: Entry) -> bool {
        let Some(blob) = from.tensors.get(source).and_then(|(index, _)| from.blobs.get(*index)) else {
            return false;
        };
        self.add_owned(blob.clone(), name, entry)
    }

    /// Adds a tensor with its own bytes. Returns whether the name was free.
    pub(crate) fn add_owned(&mut self, blob: Blob, name: String, entry: Entry) -> bool {
        if self.tensors.contains_key(&name) {
            return false;
        }
        let index = self.blobs.iter().position(|known| known.is(&blob)).unwrap_or(self.blobs.len());
        if index == self.blobs.len() {
            self.blobs.push(blob);
        }
        self.tensors.insert(name, (index, entry));
        true
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.tensors.get(name).map(|(_, entry)| entry)
    }

    /// The file's spelling of `name`.
    pub(crate) fn resolve(&self, name: &str) -> Option<&str> {
        let exact = self.tensors.get_key_value(name);
        let found = exact.or_else(|| names::aliases(name).iter().find_map(|alias| self.tensors.get_key_value(alias)));
        found.map(|(key, _)| key.as_str())
    }

    /// Names that begin with `prefix`, in order.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let range = self.tensors.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        range.map(|(name, _)| name.as_str()).take_while(move |name| name.starts_with(prefix))
    }

    pub(crate) fn get(&self, name: &str) -> Result<Option<HostTensor>> {
        let Some((index, entry)) = self.tensors.get(name) else {
            return Ok(None);
        };
        let Some(blob) = self.blobs.get(*index) else {
            return Ok(None);
        };
        blob.check_length()?;
        Ok(Some(HostTensor::view(entry.dtype, entry.shape.clone(), blob.clone(), entry.range.clone())))
    }
}
