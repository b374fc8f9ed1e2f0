//! What a file or directory holds, for `syncline inspect`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::embedding::Embedding;
use crate::error::{ErrorCode, LoadError, Result, escaped};
use crate::lora::Lora;
use crate::sniff::{FileKind, sniff};
use crate::source::ModelSource;
use crate::weights::Weights;

/// Non-finite tensors that a report lists.
const LISTED: usize = 20;

/// What was found at a path. All texts are safe to print.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The path.
    pub path: String,
    /// Format, recognised by content: `safetensors`, `a diffusers model (…)`, `a Python pickle`, …
    pub format: String,
    /// Bytes on disk; for directories those of the weights.
    pub bytes: u64,
    /// What the tensors look like, in words.
    pub family: Option<String>,
    /// Number of elements of all tensors.
    pub parameters: u64,
    /// Tensors and bytes of each element type.
    pub dtypes: Vec<DtypeRow>,
    /// All tensors in the order of their names.
    pub tensors: Vec<TensorRow>,
    /// Number of tensors with NaN or infinite values.
    pub nonfinite_tensors: usize,
    /// The first twenty of them.
    pub nonfinite: Vec<NonFiniteRow>,
    /// Pairs of the header's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    /// Components of a model directory.
    pub components: BTreeMap<String, Report>,
    /// What a UNet predicts: `epsilon` or `v_prediction`, where its files say it.
    pub prediction_type: Option<String>,
    /// Elements that the configuration asks for; bytes on the device are twice as many in f16, four times in f32.
    pub expected_parameters: u64,
    /// What else can be said, one fact a line.
    pub about: Vec<String>,
    /// Why it cannot be used, if it cannot.
    pub problem: Option<String>,
    /// Class of the problem.
    #[serde(skip)]
    pub code: Option<ErrorCode>,
}

/// One element type.
#[derive(Clone, Debug, Serialize)]
pub struct DtypeRow {
    /// Its name in the header.
    pub dtype: String,
    /// Tensors of this type.
    pub tensors: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// One tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorRow {
    /// State-dict key.
    pub name: String,
    /// Element type.
    pub dtype: String,
    /// Extents.
    pub shape: Vec<usize>,
}

/// One tensor with values that are not finite.
#[derive(Clone, Debug, Serialize)]
pub struct NonFiniteRow {
    /// State-dict key.
    pub name: String,
    /// How many values.
    pub count: usize,
    /// Index of the first.
    pub first: usize,
}

/// Looks at a file, a component directory or a model directory and reads all of its weights once.
///
/// A file that cannot be used is a report with a [`Report::problem`].
///
/// # Errors
/// Only when there is nothing at `path` or it cannot be opened.
pub fn inspect(path: &Path) -> Result<Report> {
    let meta = std::fs::metadata(path).map_err(|e| LoadError::io(path, e))?;
    let mut report = Report { path: path.display().to_string(), bytes: meta.len(), ..Report::default() };
    let is_model = path.join("model_index.json").is_file() || path.join("snapshots").is_dir();
    let outcome = if meta.is_dir() && is_model {
        model(&mut report, path)
    } else {
        if meta.is_file() {
            report.format = kind_of(path)?.describe();
        }
        Weights::open(path).and_then(|weights| tensors(&mut report, &weights)).and_then(|()| file(&mut report, path))
    };
    if let Err(error) = outcome {
        report.code = Some(error.code());
        report.problem = Some(error.to_string());
    }
    Ok(report)
}

fn kind_of(path: &Path) -> Result<FileKind> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| LoadError::io(path, e))?;
    let mut head = Vec::new();
    file.take(8192).read_to_end(&mut head).map_err(|e| LoadError::io(path, e))?;
    Ok(match sniff(&head) {
        // Only the first 8 KiB were shown to it.
        FileKind::CutHeader => FileKind::Safetensors,
        kind => kind,
    })
}

fn model(report: &mut Report, path: &Path) -> Result<()> {
    report.format = "a diffusers model directory".into();
    let source = ModelSource::open(path)?.allow_nonfinite(true);
    report.format = format!("a diffusers model ({})", source.index()._class_name);
    report.bytes = 0;
    describe(report, &source);
    for component in parts(&source) {
        let mut part = Report { path: format!("{}/{component}", source.label()), ..Report::default() };
        let outcome = config_problem(&source, &component)
            .and_then(|()| source.weights(&component))
            .and_then(|weights| tensors(&mut part, &weights))
            .and_then(|()| compare(&mut part, &source, &component));
        if let Err(error) = outcome {
            part.problem = Some(error.to_string());
            part.code = Some(error.code());
            report.problem.get_or_insert_with(|| error.to_string());
            report.code.get_or_insert(error.code());
        }
        report.bytes += part.bytes;
        report.parameters += part.parameters;
        report.expected_parameters += part.expected_parameters;
        report.nonfinite_tensors += part.nonfinite_tensors;
        report.components.insert(component, part);
    }
    Ok(())
}

/// Components with tensors.
fn parts(source: &ModelSource) -> Vec<String> {
    let mut found = source.components();
    found.retain(|component| !component.starts_with("tokenizer") && component != "scheduler");
    found
}

fn describe(report: &mut Report, source: &ModelSource) {
    report.family = source.family().map(|family| format!("{family} ({})", source.index()._class_name));
    report.prediction_type = source.scheduler_config().ok().map(|config| escaped(&config.prediction_type, 40));
    if let (Ok(config), None) = (source.unet_config(), &report.prediction_type) {
        report.about.push(format!(
            "what its UNet ({} input channels) predicts is not said: pass --prediction epsilon or --prediction v_prediction",
            config.in_channels
        ));
    }
}

/// Compares a component with its configuration and notes how large it is.
fn compare(part: &mut Report, source: &ModelSource, component: &str) -> Result<()> {
    let expected = source.expected(component)?;
    let elements =
        |(_, shape): &(String, Vec<usize>)| shape.iter().fold(1u64, |n, side| n.saturating_mul(*side as u64));
    part.expected_parameters = expected.iter().map(elements).fold(0, u64::saturating_add);
    source.weights(component)?.compare(&expected, &[])
}

/// What a single sound file is for: a checkpoint, a ControlNet, a LoRA or an embedding.
fn file(report: &mut Report, path: &Path) -> Result<()> {
    let family = report.family.clone().unwrap_or_default();
    if !path.is_file() {
        return Ok(());
    }
    if family.starts_with("a LoRA") || family.contains("LyCORIS") {
        let lora = Lora::open(path)?;
        let own = lora.family().map_or("a family that its shapes do not tell".to_owned(), |family| family.to_string());
        let components = lora.components().join(", ");
        report
            .about
            .push(format!("for {own}: {} layers of {components}; use it with --lora FILE[:WEIGHT]", lora.len()));
    } else if family.starts_with("a textual-inversion") {
        let embedding = Embedding::open(path)?;
        let own = embedding.family().map_or("another family".to_owned(), |family| family.to_string());
        let (word, count) = (escaped(embedding.word(), 80), embedding.count());
        report.about.push(format!("for {own}: the word \"{word}\" with {count} vectors; use it with --embedding FILE"));
    } else if family.contains("checkpoint") || family.contains("UNet") {
        let Ok(source) = ModelSource::open(path) else { return Ok(()) };
        describe(report, &source);
        let parts = parts(&source);
        report.about.push(format!("holds {}", parts.join(", ")));
        for component in parts {
            let mut part = Report { path: component.clone(), ..Report::default() };
            compare(&mut part, &source, &component)?;
            report.expected_parameters += part.expected_parameters;
        }
    }
    Ok(())
}

fn config_problem(source: &ModelSource, component: &str) -> Result<()> {
    match component {
        "unet" => source.unet_config().map(drop),
        "vae" => source.vae_config().map(drop),
        "controlnet" => source.controlnet_config().map(drop),
        _ => source.clip_text_config(component).map(drop),
    }
}

fn tensors(report: &mut Report, weights: &Weights) -> Result<()> {
    if weights.is_empty() {
        report.format = weights.label().to_owned();
        return Ok(());
    }
    report.format = "safetensors".into();
    report.family = Some(weights.family());
    report.metadata = weights.metadata().map(|(k, v)| (escaped(k, 200), escaped(v, 2000))).collect();
    let mut dtypes: BTreeMap<&str, DtypeRow> = BTreeMap::new();
    report.bytes = 0;
    for info in weights.infos() {
        let name = escaped(info.name, 300);
        let Some(tensor) = weights.get(info.name)? else { continue };
        let bytes = tensor.bytes().len() as u64;
        report.bytes += bytes;
        report.parameters += tensor.len() as u64;
        let dtype = info.dtype.name();
        let row = dtypes.entry(dtype).or_insert(DtypeRow { dtype: dtype.into(), tensors: 0, bytes: 0 });
        row.tensors += 1;
        row.bytes += bytes;
        if let (count, Some(first)) = tensor.nonfinite() {
            report.nonfinite_tensors += 1;
            if report.nonfinite.len() < LISTED {
                report.nonfinite.push(NonFiniteRow { name: name.clone(), count, first });
            }
        }
        report.tensors.push(TensorRow { name, dtype: dtype.into(), shape: info.shape.to_vec() });
    }
    report.dtypes = dtypes.into_values().collect();
    Ok(())
}
