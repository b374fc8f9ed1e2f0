//! Studies of edits whose truth is known: rows are ways to edit, items are pictures of the built-in model's world. A run is a
//! picture in a folder; what is there is not made again.

mod coupled;
mod csd;
mod edit;
mod measures;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use syncline::reproject::Raster;

use crate::args::{AblationArgs, Global, StudyName};
use crate::console;
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target};

/// Runs what is missing, then measures everything.
pub fn run(global: &Global, args: &AblationArgs, study: StudyName) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.output)
        .map_err(|e| Failure::input(format!("{}: {e}; give a folder that can be made", args.output.display())))?;
    let written = match study {
        StudyName::Coupled => coupled::run(global, args)?,
        StudyName::Csd => csd::run(global, args)?,
        StudyName::Edit => edit::run(global, args)?,
    };
    crate::commands::announce(global, None, &written)
}

/// What an item shows and what becomes of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Meta {
    pub source_prompt: String,
    pub target_prompt: String,
    /// What an editing model is told.
    pub instruction: String,
    /// Which question of the classifier the edit answers anew, and with which class.
    pub attribute: String,
    pub to: String,
}

/// A folder of the data.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// Such as `pano/03`.
    pub name: String,
    #[serde(skip)]
    pub folder: PathBuf,
    pub meta: Meta,
}

impl Item {
    /// Its name in files.
    pub fn file_name(&self) -> String {
        self.name.replace('/', "_")
    }
}

/// The items of a kind in the order of their names.
///
/// # Errors
/// With code 2 without `--data`, with code 3 when there are none or one is bad.
pub fn items(args: &AblationArgs, kind: &str) -> anyhow::Result<Vec<Item>> {
    let Some(data) = &args.data else {
        return Err(Failure::usage("--study needs --data, a folder made by model-loader/mini/train/study.py").into());
    };
    let refuse = |path: &Path, e: String| {
        Failure::input(format!("{}: {e}; make the folder with model-loader/mini/train/study.py", path.display()))
    };
    let folder = data.join(kind);
    let listed = std::fs::read_dir(&folder).map_err(|e| refuse(&folder, e.to_string()))?;
    let mut folders: Vec<PathBuf> = listed.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders.truncate(args.items.unwrap_or(usize::MAX));
    let item = |folder: PathBuf| {
        let path = folder.join("meta.json");
        let text = std::fs::read(&path).map_err(|e| refuse(&path, e.to_string()))?;
        let meta = serde_json::from_slice(&text).map_err(|e| refuse(&path, e.to_string()))?;
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Item { name: format!("{kind}/{name}"), folder, meta })
    };
    let items: Vec<Item> = folders.into_iter().map(item).collect::<anyhow::Result<_>>()?;
    if items.is_empty() { Err(refuse(&folder, "found no items".into()).into()) } else { Ok(items) }
}

/// A picture as displays are told it.
pub fn read(path: &Path) -> anyhow::Result<Raster> {
    Ok(crate::input::read_picture(path)?.to_srgb().into_owned())
}

/// Writes a picture of values 0..=1.
pub fn write(path: &Path, raster: &Raster) -> anyhow::Result<PathBuf> {
    let [height, width] = raster.size;
    Ok(Target::check(path, true)?.write_png(&Rgb8::from_unit(width, height, &raster.rgb)?, &Embedded::default())?)
}

/// A table: a title for each column, and rows of cells.
#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|{}\n", "---|".repeat(self.columns.len()));
        line(&self.columns) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

/// Writes NAME.md and NAME.json, and says the text.
pub fn write_tables(
    global: &Global,
    args: &AblationArgs,
    name: &str,
    text: &str,
    numbers: &Value,
) -> anyhow::Result<Vec<PathBuf>> {
    if !global.quiet && !global.json {
        console::note(text.trim_end());
    }
    let target = |extension: &str| Target::check(&args.output.join(format!("{name}.{extension}")), true);
    let json = serde_json::to_string_pretty(&json!({ "schema": 1, "study": name, "results": numbers }))?;
    Ok(vec![target("md")?.write(|w| w.write_all(text.as_bytes()))?, target("json")?.write(|w| writeln!(w, "{json}"))?])
}
