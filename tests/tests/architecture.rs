//! The rules of the source tree that no compiler checks: who may import whom, how long a file may be, where `unsafe`
//! may stand. Each rule is a function from (path, text) to complaints, and each is shown to complain.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{Metadata, MetadataCommand};

const CRATE_FOLDERS: [&str; 6] = ["kernels", "model-loader", "engine", "cli", "tests", "benches"];

/// Our crates, and which of our crates each may depend on outside its own tests.
const IMPORTS: [(&str, &[&str]); 6] = [
    ("syncline-kernels", &[]),
    ("syncline-loader", &[]),
    ("syncline", &["syncline-kernels", "syncline-loader"]),
    ("syncline-cli", &["syncline", "syncline-loader"]),
    ("syncline-tests", &["syncline-kernels", "syncline-loader", "syncline"]),
    ("syncline-benches", &["syncline-kernels", "syncline-loader", "syncline"]),
];

/// Crates that speak to the GPU. Tests and benches may use them to look at shaders.
const GPU_CRATES: [&str; 5] = ["wgpu", "wgpu-core", "wgpu-hal", "wgpu-types", "naga"];

/// Inside engine/src: a folder or file, and the modules or crates it must not name.
const ENGINE_ARROWS: [(&str, &[&str]); 6] = [
    (
        "schedulers",
        &[
            "crate::models",
            "crate::nn",
            "crate::methods",
            "crate::jobs",
            "crate::spaces",
            "syncline_kernels",
            "syncline_loader",
        ],
    ),
    ("guidance", &["crate::models", "crate::nn", "crate::methods", "crate::jobs", "syncline_loader"]),
    ("spaces", &["crate::models", "crate::nn", "crate::methods", "crate::jobs", "syncline_loader"]),
    ("methods", &["crate::models", "crate::nn", "crate::jobs", "syncline_loader"]),
    ("models", &["crate::methods", "crate::jobs", "crate::spaces", "crate::guidance", "crate::schedulers"]),
    (
        "nn",
        &["crate::models", "crate::methods", "crate::jobs", "crate::spaces", "crate::guidance", "crate::schedulers"],
    ),
];

/// Files that may hold `unsafe`: trusted shaders and pipeline caches, and the memory map.
const UNSAFE_FILES: [&str; 2] = ["kernels/src/gpu/pipeline.rs", "model-loader/src/mmap.rs"];

/// Most lines of a file, by the end of its path.
const LINE_LIMITS: [(&str, usize); 4] = [(".rs", 400), (".wgsl", 250), ("ARCHITECTURE.md", 150), ("README.md", 300)];

/// Files over their limit, which may only get shorter: path and lines.
const OVER_LIMIT: [(&str, usize); 0] = [];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] =
    ["utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "shared"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                collect(&path, files);
            }
        } else if [".rs", ".wgsl"].iter().any(|end| name.ends_with(end)) {
            files.push(path);
        }
    }
}

/// Every source file and top-level page: path from the root with `/`, and text.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut files = Vec::new();
    CRATE_FOLDERS.iter().for_each(|folder| collect(&root.join(folder), &mut files));
    files.extend(["README.md", "ARCHITECTURE.md"].iter().map(|page| root.join(page)).filter(|page| page.exists()));
    files.sort();
    let relative = |path: &Path| path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (relative(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// Lines of code with their numbers from 1, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_start()));
    numbered.filter(|(_, line)| !line.starts_with("//")).map(|(i, line)| (i, line.split(" // ").next().unwrap_or(line)))
}

/// Whether `line` holds `name` as a whole word or path.
fn names(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(word) && !line[at + name.len()..].chars().next().is_some_and(word)
    })
}

fn all(rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    sources().iter().flat_map(|(path, text)| rule(path, text)).collect()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn engine_is_pure(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("engine/src/") {
        return Vec::new();
    }
    let grouped_fs = |line: &str| {
        line.split_once("std::{").is_some_and(|(_, group)| names(group.split('}').next().unwrap_or(group), "fs"))
    };
    let impure = |line: &str| names(line, "wgpu") || line.contains("std::fs") || grouped_fs(line);
    code(text)
        .filter(|(_, line)| impure(line))
        .map(|(i, line)| format!("{path}:{i}: GPU types belong to kernels, files to model-loader and cli: {line}"))
        .collect()
}

fn engine_arrows_hold(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (part, forbidden) in ENGINE_ARROWS {
        let inside = path.starts_with(&format!("engine/src/{part}/")) || path == format!("engine/src/{part}.rs");
        for (i, line) in code(text).filter(|_| inside) {
            let found = forbidden.iter().find(|name| names(line, name));
            complaints.extend(found.map(|name| format!("{path}:{i}: {part} must not know {name}: {line}")));
        }
    }
    complaints
}

fn unsafe_is_where_it_may_be(path: &str, text: &str) -> Vec<String> {
    if UNSAFE_FILES.contains(&path) || !path.ends_with(".rs") {
        return Vec::new();
    }
    let forms = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait", "(unsafe_code"];
    // This file has to spell them out.
    let own = path == "tests/tests/architecture.rs";
    let found = code(text).filter(|(_, line)| !own && forms.iter().any(|form| line.contains(form)));
    found.map(|(i, line)| format!("{path}:{i}: unsafe is for {UNSAFE_FILES:?}: {line}")).collect()
}

fn files_are_short(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let Some((_, limit)) = LINE_LIMITS.iter().find(|(end, _)| path.ends_with(end)) else { return Vec::new() };
    let (limit, listed) = match OVER_LIMIT.iter().find(|(listed, _)| *listed == path) {
        Some((_, length)) => (*length, true),
        None => (*limit, false),
    };
    if lines > limit {
        return vec![format!("{path}: {lines} lines, {limit} allowed: split it by what its parts do")];
    }
    if listed && lines < limit {
        return vec![format!("{path}: now {lines} lines: lower or remove its entry in OVER_LIMIT")];
    }
    Vec::new()
}

fn names_say_something(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let by_path = parts.filter(|part| EMPTY_NAMES.contains(part));
    complaints.extend(by_path.map(|part| format!("{path}: '{part}' says nothing about what is inside")));
    for (i, line) in code(text) {
        let module = line.trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod ");
        let name = module.and_then(|rest| rest.split([' ', ';', '{']).next()).unwrap_or_default();
        if EMPTY_NAMES.contains(&name) {
            complaints.push(format!("{path}:{i}: module '{name}' says nothing about what is inside"));
        }
    }
    complaints
}

/// Source rules of the shaders: the linker writes the `enable` line, and a file opens with what it computes.
fn shaders_follow_the_rules(path: &str, text: &str) -> Vec<String> {
    if !path.ends_with(".wgsl") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    if !text.starts_with("//") {
        complaints.push(format!("{path}: the first line must be the comment that says what it computes"));
    }
    let enables = code(text).filter(|(_, line)| line.starts_with("enable "));
    complaints.extend(enables.map(|(i, line)| format!("{path}:{i}: the head is written by wgsl/link.rs: {line}")));
    complaints
}

#[test]
fn the_engine_names_no_gpu_types_and_no_files() {
    none(&all(engine_is_pure));
    for bad in ["use std::fs;", "use std::{io, fs::File};", "fn f(d: &wgpu::Device) {}", "use syncline_kernels::wgpu;"]
    {
        assert_eq!(engine_is_pure("engine/src/a.rs", bad).len(), 1, "{bad}");
        assert!(engine_is_pure("kernels/src/a.rs", bad).is_empty());
    }
    assert!(
        engine_is_pure("engine/src/a.rs", "// std::fs and wgpu::Device are elsewhere\nuse std::{fmt, io};").is_empty()
    );
}

#[test]
fn modules_of_the_engine_know_only_what_is_below_them() {
    none(&all(engine_arrows_hold));
    assert_eq!(engine_arrows_hold("engine/src/methods/a/mod.rs", "use crate::models::UNet;").len(), 1);
    assert_eq!(engine_arrows_hold("engine/src/schedulers/ddim.rs", "use syncline_kernels::tensor::Tensor;").len(), 1);
    assert!(engine_arrows_hold("engine/src/jobs/mod.rs", "use crate::models::UNet;").is_empty());
    assert!(engine_arrows_hold("engine/src/methods/mod.rs", "use crate::models_of_noise;").is_empty());
}

#[test]
fn unsafe_stands_in_two_files() {
    none(&all(unsafe_is_where_it_may_be));
    for path in UNSAFE_FILES {
        let text = std::fs::read_to_string(root().join(path)).unwrap();
        assert!(text.contains("unsafe {"), "{path} has no unsafe any more: remove it from the list");
    }
    assert_eq!(unsafe_is_where_it_may_be("cli/src/a.rs", "let x = unsafe { y() };").len(), 1);
    assert_eq!(unsafe_is_where_it_may_be("cli/src/a.rs", "#[allow(unsafe_code)]").len(), 1);
}

#[test]
fn files_and_pages_are_short() {
    none(&all(files_are_short));
    assert!(files_are_short("a.rs", &"x\n".repeat(400)).is_empty());
    assert_eq!(files_are_short("a.rs", &"x\n".repeat(401)).len(), 1);
    assert_eq!(files_are_short("a.wgsl", &"x\n".repeat(251)).len(), 1);
    assert_eq!(files_are_short("ARCHITECTURE.md", &"x\n".repeat(151)).len(), 1);
    for (path, length) in OVER_LIMIT {
        assert!(root().join(path).exists(), "{path} is gone: remove it from OVER_LIMIT");
        assert_eq!(files_are_short(path, &"x\n".repeat(length - 1)).len(), 1);
    }
}

#[test]
fn names_of_modules_say_what_is_inside() {
    none(&all(names_say_something));
    assert_eq!(names_say_something("engine/src/utils.rs", "").len(), 1);
    assert_eq!(names_say_something("engine/src/common/mod.rs", "").len(), 1);
    assert_eq!(names_say_something("engine/src/a.rs", "pub(crate) mod helpers {").len(), 1);
    assert!(names_say_something("engine/src/commonness.rs", "mod utilisation;").is_empty());
}

#[test]
fn shaders_open_with_their_formula_and_no_enable() {
    none(&all(shaders_follow_the_rules));
    assert_eq!(shaders_follow_the_rules("a.wgsl", "enable subgroups;\n").len(), 2);
}

#[test]
fn the_tree_is_really_read() {
    let found: BTreeSet<String> = sources().into_iter().map(|(path, _)| path).collect();
    for path in ["kernels/src/ops/convert/convert.wgsl", "engine/src/lib.rs", "cli/src/main.rs"] {
        assert!(found.contains(path), "{path} not among {} files", found.len());
    }
}

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap()
}

/// A complaint about the dependency `from` -> `to`, of whatever kind.
fn edge(from: &str, to: &str) -> Option<String> {
    let own = IMPORTS.iter().any(|(name, _)| *name == to);
    let allowed = IMPORTS.iter().find(|(name, _)| *name == from).map_or(&[][..], |(_, allowed)| *allowed);
    if own && !allowed.contains(&to) && to != from {
        return Some(format!("{from} must not depend on {to}"));
    }
    let may_name_gpu = matches!(from, "syncline-kernels" | "syncline-tests" | "syncline-benches");
    (GPU_CRATES.contains(&to) && !may_name_gpu)
        .then(|| format!("{from} must not depend on {to}: only kernels speaks to the GPU"))
}

#[test]
fn crates_depend_only_downwards() {
    let metadata = metadata();
    let found: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(found, IMPORTS.iter().map(|(name, _)| *name).collect(), "every crate needs its line in IMPORTS");
    let edges = metadata.packages.iter().flat_map(|p| p.dependencies.iter().map(move |d| (p, d)));
    none(&edges.filter_map(|(p, d)| edge(&p.name, &d.name)).collect::<Vec<_>>());

    assert!(edge("syncline-kernels", "syncline-loader").is_some());
    assert!(edge("syncline-loader", "syncline-kernels").is_some());
    assert!(edge("syncline", "wgpu").is_some());
    assert!(edge("syncline-cli", "naga").is_some());
    assert!(edge("syncline-tests", "naga").is_none());
    assert!(edge("syncline-tests", "syncline-cli").is_some());
}
