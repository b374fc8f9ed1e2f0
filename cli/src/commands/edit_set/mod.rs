//! `edit-set`.

mod method;
mod place;
mod process;
mod report;
mod windows;

use std::path::Path;

use serde_json::json;

use super::{announce, drawn_seed};
use crate::args::{EditSetArgs, Global, SetMethodName};
use crate::exit::Failure;
use crate::input::{PictureSet, SetKind, SetOptions};
use crate::output::{Embedded, ReportFiles, SetTarget};
use crate::{console, device};
use method::{Editor, refuse_foreign};
use process::{Process, around};
use report::Report;

/// Edits a set of pictures.
pub fn run(global: &Global, args: &EditSetArgs) -> anyhow::Result<()> {
    let files = &args.files;
    let seed = drawn_seed(global, args.edit.seed);
    if files.output == Path::new("-") && global.json {
        return Err(Failure::usage("--json writes events to standard output; found -o -, a video there").into());
    }
    // Flags and prompts are refused before anything is read.
    Editor::new(args, args.edit.method, false, seed)?;
    let options = SetOptions { size: files.size, matrix: files.matrix, gaps: files.gaps };
    let set = PictureSet::open(&files.input, &options)?;
    let around = around(&set, files);
    refuse_foreign(args, around.is_some())?;
    if args.edit.method != SetMethodName::Independent {
        set.one_size()?;
    }
    let delay = (100.0 / files.fps).round().clamp(1.0, 60_000.0) as u16;
    let target = SetTarget::check(&files.output, &set, files.force, delay)?;
    let report = files.report.as_deref().map(|path| ReportFiles::check(path, files.force)).transpose()?;
    if report.is_some() {
        set.one_size()?;
    }
    let editor = Editor::new(args, args.edit.method, around.is_some(), seed)?;
    let load = if args.edit.instruction.is_some() { device::load_editor } else { device::load };
    let model = load(&args.device)?;
    editor.check(&model)?;
    refuse_small(&set, around.is_some(), model.native_size())?;
    tell(global, &set);

    let process = Process { global, files, set: &set, model: &model, around };
    let mut writer = target.begin(&set)?;
    let mut report = report.map(|files| Report::new(files, &set)).transpose()?;
    let embedded = embedded(args, &editor, seed, &model.label);
    process.run(&editor, |i, photo, edited| {
        writer.push(i, edited, photo, &embedded)?;
        report.as_mut().map_or(Ok(()), |report| report.edited(i, photo, edited))
    })?;
    if let Some(report) = &mut report
        && args.edit.method != SetMethodName::Independent
    {
        let alone = Editor::new(args, SetMethodName::Independent, around.is_some(), seed)?;
        process.run(&alone, |i, photo, edited| report.baseline(i, photo, edited))?;
    }
    let mut written = writer.finish()?;
    if let Some(report) = report {
        written.extend(report.write(&editor, (&model, seed))?);
    }
    if files.output == Path::new("-") {
        return Ok(());
    }
    announce(global, Some(seed), &written)
}

/// One picture that is no larger than the model's is no set.
fn refuse_small(set: &PictureSet, around: bool, native: usize) -> Result<(), Failure> {
    let [height, width] = set.sizes[0];
    if around && height.max(width) <= native {
        return Err(Failure::input(format!(
            "{}: found one picture of {width}x{height}, and the model sees {native}x{native} at once; a panorama is larger, a \
             single picture is for syncline edit, and a set is a folder, a GIF or a video",
            set.source.display()
        )));
    }
    Ok(())
}

/// What was found, and what stays behind.
fn tell(global: &Global, set: &PictureSet) {
    if global.quiet || global.json {
        return;
    }
    let [height, width] = set.sizes[0];
    let kind = match &set.kind {
        SetKind::Folder => "pictures",
        SetKind::Scene(_) => "photos with cameras",
        SetKind::Gif(_) => "frames of an animation",
        SetKind::Stream(_) => "frames of a video",
        SetKind::Single => "panorama",
    };
    console::note(format_args!("{} {kind}, {width}x{height}", set.len()));
    if let SetKind::Scene(scene) = &set.kind
        && !scene.left.is_empty()
    {
        let names = syncline_loader::escaped(&scene.left.join(", "), 300);
        console::note(format_args!(
            "not carried along, as the cameras do not name it: {names}; smaller copies (images_2 …) must be made anew"
        ));
    }
}

fn embedded(args: &EditSetArgs, editor: &Editor, seed: u64, model: &str) -> Embedded {
    if args.files.no_metadata {
        return Embedded::default();
    }
    let edit = &args.edit;
    let json = json!({
        "schema": 1, "command": "edit-set", "method": editor.name.name(), "switches": editor.switches(), "seed": seed,
        "model": model, "source_prompt": edit.source_prompt, "prompt": edit.prompt, "instruction": edit.instruction,
        "negative_prompt": edit.negative_prompt, "steps": editor.steps(), "version": env!("CARGO_PKG_VERSION"),
    });
    Embedded { parameters: None, json: Some(json.to_string()), xmp: None }
}
