//! Textual inversion: words whose vectors were learned, for the prompt to use.

use std::collections::BTreeMap;
use std::path::Path;

use crate::checkpoint::Family;
use crate::error::{Detail, LoadError, Result};
use crate::table::Table;
use crate::tensor::HostTensor;

/// Vectors that one word may stand for: as many as a prompt has room for.
const MAX_VECTORS: usize = 75;

/// A learned word and its vectors, for each width of text encoder it was learned with.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    label: String,
    word: String,
    vectors: BTreeMap<usize, Vec<f32>>,
    count: usize,
}

impl Embedding {
    /// Opens a `.safetensors` file: `emb_params` (A1111), a tensor named as its word (diffusers), or `clip_l` and `clip_g`
    /// (SDXL). The word is the tensor's name in diffusers' form, else the file's name without its ending.
    ///
    /// # Errors
    /// When the file is bad, such as a pickle (`.pt`, `.bin`), which is never loaded because it can run code, or holds
    /// something else.
    pub fn open(path: &Path) -> Result<Embedding> {
        let label = path.display().to_string();
        let table = Table::open(path).map_err(|error| no_pickles(error, &label))?;
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("embedding").to_owned();
        let names: Vec<&str> = table.names().collect();
        let word = match names.as_slice() {
            ["emb_params"] | ["clip_g", "clip_l"] => stem,
            // A converted A1111 file.
            [only] if only.contains('*') => stem,
            [only] => (*only).to_owned(),
            _ => return Err(other(&label, &table)),
        };
        let (mut vectors, mut count) = (BTreeMap::new(), 0);
        for name in &names {
            let Some(tensor) = table.get(name)? else { continue };
            let (rows, width, values) = read(&label, name, &tensor)?;
            if count != 0 && rows != count {
                let detail = Detail::new(&label, "the embedding has different numbers of vectors for its two encoders");
                let detail = detail.item(*name).found(format!("{rows} and {count}")).expected("the same number");
                return Err(LoadError::WrongShape(Box::new(detail.next(format!("syncline inspect {label}")))));
            }
            count = rows;
            vectors.insert(width, values);
        }
        Ok(Embedding { label, word, vectors, count })
    }

    /// The word that stands for it in a prompt.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Uses another word for it.
    pub fn with_word(mut self, word: &str) -> Self {
        self.word = word.to_owned();
        self
    }

    /// Number of vectors, which is the number of tokens that the word takes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The file, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The family it was learned with: by the widths of its vectors.
    pub fn family(&self) -> Option<Family> {
        match self.vectors.keys().collect::<Vec<_>>().as_slice() {
            [768] => Some(Family::Sd1),
            [1024] => Some(Family::Sd2),
            [768, 1280] => Some(Family::Sdxl),
            _ => None,
        }
    }

    /// Its vectors `[count, width]` for an encoder of this width.
    ///
    /// # Errors
    /// When it was learned with encoders of other widths; both are named.
    pub(crate) fn vectors(&self, width: usize) -> Result<&[f32]> {
        self.vectors.get(&width).map(Vec::as_slice).ok_or_else(|| {
            let named = |family: Option<Family>| family.map_or(String::new(), |family| format!(" ({family})"));
            let widths = self.vectors.keys().map(usize::to_string).collect::<Vec<_>>().join(" and ");
            let detail = Detail::new(&self.label, "the embedding was learned with another text encoder");
            let detail = detail.found(format!("vectors of width {widths}{}", named(self.family())));
            let own = if width == 1280 { Some(Family::Sdxl) } else { Family::of_context(width) };
            let detail = detail.expected(format!("vectors of width {width}{}", named(own)));
            LoadError::UnsupportedConfig(Box::new(
                detail.next("pass an embedding that was made for this model's family"),
            ))
        })
    }
}

/// Rows, width and values of a vector or matrix.
fn read(label: &str, name: &str, tensor: &HostTensor) -> Result<(usize, usize, Vec<f32>)> {
    let (rows, width) = match tensor.shape.as_slice() {
        [width] => (1, *width),
        [rows, width] => (*rows, *width),
        _ => (0, 0),
    };
    if !(1..=MAX_VECTORS).contains(&rows) || width < 8 || !tensor.dtype.is_weight() {
        let detail = Detail::new(label, "the tensor is no embedding").item(name);
        let detail = detail.found(format!("{} {:?}", tensor.dtype, tensor.shape));
        let detail = detail.expected(format!("up to {MAX_VECTORS} vectors as wide as a text encoder"));
        return Err(LoadError::WrongShape(Box::new(detail.next(format!("syncline inspect {label}")))));
    }
    if let (count, Some(first)) = tensor.nonfinite() {
        let detail = Detail::new(label, "the embedding holds values that are not finite numbers").item(name);
        let detail = detail.found(format!("{count} NaN or infinite, the first at index {first}"));
        return Err(LoadError::NonFinite(Box::new(detail.expected("finite values only").next("download it again"))));
    }
    Ok((rows, width, tensor.to_f32()))
}

fn other(label: &str, table: &Table) -> LoadError {
    let infos = table.entries().map(|(name, e)| crate::TensorInfo { name, shape: &e.shape, dtype: e.dtype });
    let family = crate::family::guess(infos);
    let detail = Detail::new(label, "the file is not a textual-inversion embedding");
    let detail = detail.found(format!("{} tensors; it looks like {family}", table.len()));
    let detail = detail.expected("emb_params, clip_l and clip_g, or one tensor named as its word");
    LoadError::Unaccounted(Box::new(detail.next(crate::family::advice(&family, label))))
}

/// Most embeddings of A1111's time are pickles; the message says what to do about it.
fn no_pickles(error: LoadError, label: &str) -> LoadError {
    match error {
        LoadError::WrongFormat(mut detail) if detail.found.as_ref().is_some_and(|found| found.contains("pickle")) => {
            detail.problem = "the embedding is a Python pickle, which can run code and is never loaded".to_owned();
            detail.expected =
                Some("a .safetensors embedding with emb_params, clip_l and clip_g, or one named tensor".into());
            detail.next = Some(format!("get the .safetensors file of {label}, or convert it where it came from"));
            LoadError::WrongFormat(detail)
        }
        other => other,
    }
}
