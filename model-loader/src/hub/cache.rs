//! The directory layout of Hugging Face's cache: `models--owner--name/{refs,snapshots,blobs}`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::complete;
use crate::error::{Detail, LoadError, Result};
use crate::locate::file_names;

/// Where Hugging Face's tools keep what they have downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache in this directory, which holds `models--*`.
    pub fn at(root: impl Into<PathBuf>) -> Cache {
        Cache { root: root.into() }
    }

    /// The cache that the environment names: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub fn from_env() -> Cache {
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// [`Cache::from_env`] with the variables that `var` knows.
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Cache {
        let var = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || var("HOME").or_else(|| var("USERPROFILE")).unwrap_or_else(|| PathBuf::from("."));
        // Hugging Face's own tools know "~" in these variables.
        let expanded = |path: PathBuf| match path.strip_prefix("~") {
            Ok(rest) => home().join(rest),
            Err(_) => path,
        };
        let told = var("HF_HUB_CACHE").or_else(|| var("HUGGINGFACE_HUB_CACHE")).map(expanded);
        let root = told.unwrap_or_else(|| {
            let base = || var("XDG_CACHE_HOME").unwrap_or_else(|| home().join(".cache")).join("huggingface");
            var("HF_HOME").map_or_else(base, expanded).join("hub")
        });
        Cache { root }
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether anything of a repository is in the cache.
    pub fn holds(&self, repository: &str) -> bool {
        is_repository(repository) && self.entry(repository).is_dir()
    }

    fn entry(&self, repository: &str) -> PathBuf {
        self.root.join(format!("models--{}", repository.replace('/', "--")))
    }

    /// What a repository's snapshot holds: the directory, or the only weights file in it. `revision` is a branch, tag or
    /// commit; without it the branch `main`.
    ///
    /// # Errors
    /// When there is no such snapshot or its download is incomplete.
    pub fn snapshot(&self, repository: &str, revision: Option<&str>) -> Result<PathBuf> {
        snapshot(&self.entry(repository), repository, revision)
    }
}

/// Whether a text is `owner/name` as Hugging Face has them, and cannot leave the cache.
pub fn is_repository(text: &str) -> bool {
    let plain = |part: &str| {
        let bytes = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        bytes && (1..=96).contains(&part.len()) && !part.starts_with('.') && !part.contains("..")
    };
    text.split_once('/').is_some_and(|(owner, name)| plain(owner) && plain(name))
}

/// The checked snapshot of a cache entry. `name` is how messages call it.
pub fn snapshot(entry: &Path, name: &str, revision: Option<&str>) -> Result<PathBuf> {
    let commit = commit(entry, name, revision)?;
    let dir = entry.join("snapshots").join(commit);
    if !dir.is_dir() {
        let detail = Detail::new(name, "the cache knows the revision, but has no snapshot of it");
        let detail = detail.expected(dir.display().to_string());
        return Err(LoadError::BadLayout(Box::new(detail.next(download(name, revision)))));
    }
    complete::check(&dir, entry, name, &download(name, revision))?;
    Ok(complete::only_file(&dir).unwrap_or(dir))
}

/// The command that gets or completes a revision.
fn download(name: &str, revision: Option<&str>) -> String {
    if !is_repository(name) {
        return format!("pass one of {name}/snapshots/*");
    }
    match revision {
        Some(revision) => format!("hf download {name} --revision {revision}"),
        None => format!("hf download {name}"),
    }
}

/// The commit that a revision stands for.
fn commit(entry: &Path, name: &str, revision: Option<&str>) -> Result<String> {
    let snapshots = file_names(&entry.join("snapshots")).unwrap_or_default();
    let wanted = revision.unwrap_or("main");
    let detail = |problem: &str| {
        let listed = snapshots.iter().take(4).map(|name| format!(" {name}")).collect::<String>();
        Detail::new(name, problem).found(format!("{} snapshots{listed}", snapshots.len()))
    };
    if !wanted.split('/').all(is_plain) {
        let problem = detail("a revision is a branch, a tag or a commit").expected("letters, digits, . _ - and /");
        return Err(LoadError::BadLayout(Box::new(problem.next(download(name, None)))));
    }
    if let Ok(text) = std::fs::read_to_string(entry.join("refs").join(wanted)) {
        let commit = text.trim();
        if is_plain(commit) {
            return Ok(commit.to_owned());
        }
        let problem = detail("the cache's entry for the revision is no commit").item(format!("refs/{wanted}"));
        return Err(LoadError::BadLayout(Box::new(problem.next(download(name, revision)))));
    }
    let mut matching = snapshots.iter().filter(|commit| match revision {
        Some(revision) => revision.len() >= 6 && commit.starts_with(revision),
        None => true,
    });
    match (matching.next(), matching.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => {
            let problem = detail("the cache does not say which snapshot is meant").expected(format!("refs/{wanted}"));
            Err(LoadError::BadLayout(Box::new(problem.next(download(name, revision)))))
        }
    }
}

/// A name that stays in its directory.
fn is_plain(part: &str) -> bool {
    let bytes = part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'));
    !part.is_empty() && part.len() <= 255 && bytes && part != "." && part != ".."
}
