//! `OUTPUT.journal`: a stopped job between two outer steps, as a safetensors file.
//!
//! The tensors are those of [`Checkpoint`]; the metadata say what they belong to. The file is replaced as a whole, so there is
//! an older or a newer one at any moment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use syncline::jobs::Checkpoint;

use crate::args::RunArgs;
use crate::console;
use crate::exit::Failure;
use crate::output::{OutputError, Target};

/// Raised when an older program could misread a newer file.
const SCHEMA: &str = "syncline-journal-1";

/// What a job's bytes depend on, in order: names and values.
pub type Settings = Vec<(String, String)>;

/// The one metadata entry.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    schema: String,
    /// SHA-256 of the settings.
    hash: String,
    settings: Settings,
    seed: u64,
    operation: usize,
    evaluations: usize,
    kept_steps: Vec<Option<usize>>,
    /// Outer steps that are done.
    steps: usize,
    /// Names of the tensors in the checkpoint's order.
    order: Vec<String>,
    /// SHA-256 of their bytes in that order.
    sum: String,
}

/// A journal that was found.
#[derive(Debug)]
struct Found {
    head: Head,
    checkpoint: Checkpoint,
}

/// The file of a job.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    target: Target,
    interval: Duration,
    last: Instant,
    found: Option<Found>,
    /// Steps that the file holds, once this run has written it.
    written: Option<usize>,
}

impl Journal {
    /// Before the work: looks for a journal beside `output` and reads it when the job shall go on from there.
    ///
    /// # Errors
    /// With code 3 for a file that is none.
    pub fn check(output: &Path, args: &RunArgs, quiet: bool) -> anyhow::Result<Self> {
        // The * of six files is no character of a name everywhere.
        let name = output.file_name().unwrap_or_default().to_string_lossy().replace('*', "_");
        let path = output.with_file_name(format!("{name}.journal"));
        let target = Target::check(&path, true)?;
        let found = path.symlink_metadata().is_ok();
        let note = |text: String| {
            if !quiet {
                console::note(text);
            }
        };
        let found = match (found, args.resume) {
            (true, true) => Some(read(&path)?),
            (true, false) => {
                note(format!(
                    "{} is there from a stopped run; --resume would go on with it, this run starts anew and replaces it",
                    path.display()
                ));
                None
            }
            (false, true) => {
                note(format!("{} is not there: starting from the beginning", path.display()));
                None
            }
            (false, false) => None,
        };
        let interval = Duration::from_secs_f64(args.journal_interval);
        Ok(Self { path, target, interval, last: Instant::now(), found, written: None })
    }

    /// The seed of the run to go on with.
    pub fn seed(&self) -> Option<u64> {
        self.found.as_ref().map(|found| found.head.seed)
    }

    /// The state to go on from.
    ///
    /// # Errors
    /// With code 2 when it belongs to other settings, with all that differ.
    pub fn take(&mut self, settings: &Settings) -> Result<Option<(Checkpoint, usize)>, Failure> {
        let Some(Found { head, checkpoint }) = self.found.take() else { return Ok(None) };
        let differences = differences(&head.settings, settings);
        if !differences.is_empty() || head.hash != hash(settings) {
            return Err(Failure::usage(format!(
                "{} belongs to a run with other settings: {}; give that run's flags, or start anew without --resume",
                self.path.display(),
                differences.join("; ")
            )));
        }
        self.written = Some(head.steps);
        Ok(Some((checkpoint, head.steps)))
    }

    /// Whether it is time to write.
    pub fn due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// When the disk refuses; the file before is still there.
    pub fn write(
        &mut self,
        checkpoint: &Checkpoint,
        settings: &Settings,
        (seed, steps): (u64, usize),
    ) -> anyhow::Result<()> {
        let bytes = encode(checkpoint, settings, (seed, steps))?;
        self.target.write(|w| w.write_all(&bytes))?;
        self.written = Some(steps);
        self.last = Instant::now();
        Ok(())
    }

    /// After an interruption: what can be gone on with.
    pub fn tell(&self) {
        if let Some(steps) = self.written {
            console::note(format_args!("{} keeps {steps} steps; --resume goes on from there", self.path.display()));
        }
    }

    /// The job is complete, its files are written.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn remove(&mut self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(OutputError::Io { during: "remove", path: self.path.clone(), reason: e }.into())
            }
            _ => Ok(()),
        }
    }
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of any text, for settings that are too long to be told.
pub fn fingerprint(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..8])
}

fn hash(settings: &Settings) -> String {
    let mut sum = Sha256::new();
    for (name, value) in settings {
        for text in [name, value] {
            sum.update((text.len() as u64).to_le_bytes());
            sum.update(text.as_bytes());
        }
    }
    hex(&sum.finalize())
}

/// What is not the same, value by value.
fn differences(there: &Settings, now: &Settings) -> Vec<String> {
    let value = |settings: &Settings, name: &str| {
        settings.iter().find(|(n, _)| n == name).map_or("none".to_owned(), |(_, v)| v.clone())
    };
    let mut names: Vec<&String> = there.iter().chain(now).map(|(name, _)| name).collect();
    names.dedup();
    let mut seen = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| seen.insert(name.as_str())) {
        let (a, b) = (value(there, name), value(now, name));
        if a == b {
            continue;
        }
        // Switches of a method stand in one text; only those that differ are of interest.
        let (parts_a, parts_b): (Vec<&str>, Vec<&str>) = (a.split(", ").collect(), b.split(", ").collect());
        if parts_a.len() == parts_b.len() && parts_a.len() > 1 {
            let pairs = parts_a.iter().zip(&parts_b).filter(|(a, b)| a != b);
            found.extend(pairs.map(|(a, b)| format!("{name}: there {a:?}, now {b:?}")));
        } else {
            found.push(format!("{name}: there {a:?}, now {b:?}"));
        }
    }
    found
}

fn encode(checkpoint: &Checkpoint, settings: &Settings, (seed, steps): (u64, usize)) -> anyhow::Result<Vec<u8>> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let data: Vec<(&String, &Vec<usize>, Vec<u8>)> =
        checkpoint.tensors.iter().map(|(name, dims, values)| (name, dims, bytes(values))).collect();
    let mut sum = Sha256::new();
    data.iter().for_each(|(_, _, bytes)| sum.update(bytes));
    let head = Head {
        schema: SCHEMA.to_owned(),
        hash: hash(settings),
        settings: settings.clone(),
        seed,
        operation: checkpoint.operation,
        evaluations: checkpoint.evaluations,
        kept_steps: checkpoint.kept_steps.clone(),
        steps,
        order: data.iter().map(|(name, ..)| (*name).clone()).collect(),
        sum: hex(&sum.finalize()),
    };
    let views = data
        .iter()
        .map(|(name, dims, bytes)| Ok(((*name).clone(), TensorView::new(Dtype::F32, (*dims).clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let metadata = HashMap::from([("syncline".to_owned(), serde_json::to_string(&head)?)]);
    Ok(serialize(views, Some(metadata))?)
}

fn read(path: &Path) -> Result<Found, Failure> {
    let refuse = |found: String| {
        Failure::input(format!(
            "{}: found {found}, expected a journal of this program; start anew without --resume",
            path.display()
        ))
    };
    let bytes = std::fs::read(path).map_err(|e| refuse(e.to_string()))?;
    decode(&bytes).map_err(refuse)
}

fn decode(bytes: &[u8]) -> Result<Found, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = metadata.metadata().as_ref().and_then(|map| map.get("syncline")).ok_or("no metadata")?;
    let head: Head = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if head.schema != SCHEMA {
        return Err(format!("schema {:?} instead of {SCHEMA:?}", head.schema));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
    let mut sum = Sha256::new();
    let mut tensors = Vec::new();
    for name in &head.order {
        let tensor = file.tensor(name).map_err(|e| e.to_string())?;
        if tensor.dtype() != Dtype::F32 {
            return Err(format!("tensor {name} of {:?}", tensor.dtype()));
        }
        sum.update(tensor.data());
        let values = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        tensors.push((name.clone(), tensor.shape().to_vec(), values));
    }
    if hex(&sum.finalize()) != head.sum {
        return Err("values that are not those that were written".to_owned());
    }
    let (operation, evaluations) = (head.operation, head.evaluations);
    let checkpoint = Checkpoint { operation, evaluations, kept_steps: head.kept_steps.clone(), tensors };
    Ok(Found { head, checkpoint })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(steps: usize) -> Settings {
        let method = format!("StochSync {{ steps: {steps}, t_max: 650.0, warmup: 1 }}");
        vec![("prompt".into(), "a hill, green".into()), ("method".into(), method)]
    }

    fn checkpoint() -> Checkpoint {
        let tensors = vec![
            ("z".to_owned(), vec![2, 1], vec![1.5, f32::MIN_POSITIVE]),
            ("a".to_owned(), vec![3], vec![0.1, -0.0, 3e38]),
        ];
        Checkpoint { operation: 7, evaluations: 40, kept_steps: vec![Some(1), None], tensors }
    }

    #[test]
    fn a_journal_comes_back_to_the_bit() {
        let bytes = encode(&checkpoint(), &settings(7), (u64::MAX, 3)).unwrap();
        let found = decode(&bytes).unwrap();
        assert_eq!(found.checkpoint, checkpoint());
        assert_eq!((found.head.seed, found.head.steps), (u64::MAX, 3));
        assert_eq!((found.head.hash, found.head.settings), (hash(&settings(7)), settings(7)));
    }

    #[test]
    fn every_broken_journal_is_refused() {
        let bytes = encode(&checkpoint(), &settings(7), (1, 3)).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        let mut flipped = bytes.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(decode(&flipped).unwrap_err(), "values that are not those that were written");
        let other = serialize(Vec::<(String, TensorView<'_>)>::new(), None).unwrap();
        assert_eq!(decode(&other).unwrap_err(), "no metadata");
    }

    #[test]
    fn what_differs_is_told_switch_by_switch() {
        assert_eq!(differences(&settings(7), &settings(7)), [""; 0]);
        let told = differences(&settings(7), &settings(9));
        assert_eq!(told, ["method: there \"StochSync { steps: 7\", now \"StochSync { steps: 9\""]);
        let mut other = settings(7);
        other[0].1 = "a hill".into();
        other.push(("mask".into(), "12ab".into()));
        let told = differences(&settings(7), &other);
        assert_eq!(told, ["prompt: there \"a hill, green\", now \"a hill\"", "mask: there \"none\", now \"12ab\""]);
        assert_ne!(hash(&settings(7)), hash(&other));
    }
}
