//! `--report`: the edited set beside its independent baseline and its source.

use std::path::PathBuf;

use serde_json::json;
use syncline::metrics::PictureSetMeter;
use syncline::pipeline::StableDiffusion;
use syncline::reproject::{Edges, Raster, resize};

use super::method::Editor;
use crate::commands::metrics::set::{WITHOUT_NETWORKS, cell, rows};
use crate::console;
use crate::input::{Photo, PictureSet, SetKind};
use crate::output::{Picture, ReportFiles, ReportPage, Table};

/// Pictures shown of a set.
const SHOWN: usize = 4;
/// Their height on the page at most.
const HEIGHT: usize = 256;

/// Meters of both, and what the page shows.
pub struct Report<'a> {
    files: ReportFiles,
    set: &'a PictureSet,
    edited: PictureSetMeter,
    baseline: Option<PictureSetMeter>,
    strips: [Vec<Raster>; 3],
}

impl<'a> Report<'a> {
    /// # Errors
    /// When the pictures have several sizes.
    pub fn new(files: ReportFiles, set: &'a PictureSet) -> anyhow::Result<Self> {
        let edited = PictureSetMeter::new(set.one_size()?, true);
        Ok(Self { files, set, edited, baseline: None, strips: Default::default() })
    }

    /// A picture of the result.
    ///
    /// # Errors
    /// Never yet.
    pub fn edited(&mut self, index: usize, photo: &Photo, picture: &Raster) -> anyhow::Result<()> {
        let (source, picture) = (unit(&photo.picture.to_srgb()), unit(picture));
        self.edited.push(&picture.rgb, Some(&source.rgb));
        self.show(index, 0, &source);
        self.show(index, 1, &picture);
        Ok(())
    }

    /// The same picture edited by itself.
    ///
    /// # Errors
    /// Never yet.
    pub fn baseline(&mut self, index: usize, photo: &Photo, picture: &Raster) -> anyhow::Result<()> {
        let (source, picture) = (unit(&photo.picture.to_srgb()), unit(picture));
        let size = picture.size;
        let meter = self.baseline.get_or_insert_with(|| PictureSetMeter::new(size, true));
        meter.push(&picture.rgb, Some(&source.rgb));
        self.show(index, 2, &picture);
        Ok(())
    }

    /// Evenly chosen pictures.
    fn show(&mut self, index: usize, strip: usize, picture: &Raster) {
        let count = self.set.len().min(SHOWN);
        let [height, width] = picture.size;
        if (0..count).any(|k| k * self.set.len() / count == index) {
            let size = if height > HEIGHT { [HEIGHT, (width * HEIGHT / height).max(1)] } else { picture.size };
            self.strips[strip].push(resize(picture, size, Edges::Clamp));
        }
    }

    /// Writes JSON or the page; a table goes to stderr.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(self, editor: &Editor, (model, seed): (&StableDiffusion, u64)) -> anyhow::Result<Vec<PathBuf>> {
        let photos = matches!(self.set.kind, SetKind::Scene(_) | SetKind::Single);
        let measures = |meter: &PictureSetMeter| {
            let mut measures = meter.finish();
            // Photos have no order in time.
            if photos {
                (measures.frame_difference, measures.added_flicker, measures.pictures.motion) = (None, None, None);
                measures.source.iter_mut().for_each(|source| source.motion = None);
            }
            measures
        };
        let (edited, baseline) = (measures(&self.edited), self.baseline.as_ref().map(measures));
        let alone = baseline.as_ref().map(rows).unwrap_or_default();
        let name = editor.name.name();
        let mut table = Vec::new();
        for (i, (what, own, source)) in rows(&edited).into_iter().enumerate() {
            if own.is_none() {
                continue;
            }
            let baseline = alone.get(i).and_then(|row| row.1);
            table.push([what.to_owned(), cell(own), cell(baseline), cell(source)].to_vec());
        }
        let json = json!({
            "schema": 1, "command": "edit-set", "method": name, "switches": editor.switches(), "seed": seed, "model": model.label,
            "edited": edited, "independent": baseline, "not_measured": WITHOUT_NETWORKS,
            "device_memory_peak": model.ctx.memory().1, "host_memory_peak": host_memory_peak(),
        });
        // The baseline of a baseline is itself.
        let mut head = vec!["", name, "independent", "source"];
        if baseline.is_none() {
            head.remove(2);
            table.iter_mut().for_each(|row| drop(row.remove(2)));
        }
        let heads: Vec<String> = head.iter().map(|text| (*text).to_owned()).collect();
        for row in std::iter::once(&heads).chain(&table) {
            let numbers: String = row[1..].iter().map(|text| format!(" {text:>12}")).collect();
            console::note(format_args!("{:<56}{numbers}", row[0]));
        }
        let page = || self.page(editor, (model, seed), (table, &head));
        Ok(self.files.write(&json, page)?)
    }

    fn page(
        &self,
        editor: &Editor,
        (model, seed): (&StableDiffusion, u64),
        (rows, head): (Vec<Vec<String>>, &[&str]),
    ) -> ReportPage {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let captions = ["Source", "Edited together: the result", "Each by itself: the baseline"];
        let strips = captions.iter().zip(&self.strips).filter(|(_, strip)| !strip.is_empty());
        let settings = [
            ["seed", &seed.to_string()],
            ["model", &model.label],
            ["method", &editor.switches()],
            ["adapter", &model.ctx.adapter().name],
        ];
        ReportPage {
            title: format!("Edit of {} pictures", self.set.len()),
            summary: WITHOUT_NETWORKS.to_owned(),
            pictures: strips.map(|(caption, strip)| ((*caption).to_owned(), Picture::srgb(beside(strip)))).collect(),
            tables: vec![
                Table { caption: "Measures".to_owned(), columns: texts(head), rows },
                Table {
                    caption: "Settings".to_owned(),
                    columns: texts(&["", "value"]),
                    rows: settings.iter().map(|row| texts(row)).collect(),
                },
            ],
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        }
    }
}

/// Most bytes that this process has had in memory at once, where the system tells.
fn host_memory_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Colours of 0..=1, as they are written.
fn unit(raster: &Raster) -> Raster {
    Raster::new(raster.size, raster.rgb.iter().map(|v| v.clamp(0.0, 1.0)).collect())
}

/// Pictures of one size in a row.
fn beside(pictures: &[Raster]) -> Raster {
    let [height, width] = pictures[0].size;
    let row = |y: usize| pictures.iter().flat_map(move |p| &p.rgb[y * width * 3..(y + 1) * width * 3]);
    Raster::new([height, width * pictures.len()], (0..height).flat_map(row).copied().collect())
}
