//! The licences, bans and sources of deny.toml, checked without cargo-deny.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cargo_metadata::MetadataCommand;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(page)).unwrap()
}

/// The texts in double quotes on the lines of `key = [` … `]`.
fn list<'a>(toml: &'a str, key: &str) -> Vec<Vec<&'a str>> {
    let lines = toml.lines().skip_while(|line| *line != format!("{key} = [")).skip(1);
    lines.take_while(|line| *line != "]").map(|line| line.split('"').skip(1).step_by(2).collect()).collect()
}

/// Whether an SPDX expression can be satisfied with `allowed` licences. `AND` binds tighter than `OR`; `/` is the old
/// way of writing `OR`.
fn satisfied(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let result = any_of(&words, &mut at, allowed);
    result && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut result = all_of(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        result |= all_of(words, at, allowed);
    }
    result
}

fn all_of(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let mut result = licence(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        result &= licence(words, at, allowed);
    }
    result
}

fn licence(words: &[&str], at: &mut usize, allowed: &BTreeSet<&str>) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let result = any_of(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return result && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

/// Name, version and source of every package in Cargo.lock, for all platforms.
fn locked() -> Vec<(String, String, Option<String>)> {
    let lock = read("Cargo.lock");
    let field = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")))?;
        line.strip_suffix('"').map(str::to_owned)
    };
    let packages = lock.split("[[package]]").skip(1);
    packages.map(|b| (field(b, "name").unwrap(), field(b, "version").unwrap(), field(b, "source"))).collect()
}

#[test]
fn expressions_are_read_as_spdx_says() {
    let allowed = BTreeSet::from(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception",
        "GPL-3.0 AND BSL-1.0 OR MIT",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in [
        "AGPL-3.0",
        "",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR LGPL-2.1)",
        "Apache-2.0 WITH Classpath-exception",
        "(MIT",
        "MIT MIT",
    ] {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}

/// Every package of every platform in the lock file.
#[test]
fn packages_come_from_crates_io_and_none_is_banned() {
    let deny = read("deny.toml");
    let bans = list(&deny, "deny");
    let own = ["syncline", "syncline-kernels", "syncline-loader", "syncline-cli", "syncline-tests", "syncline-benches"];
    let packages = locked();
    assert!(packages.len() > 100 && bans.len() > 5, "{} packages, {} bans", packages.len(), bans.len());
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version, source) in &packages {
        let expected = if own.contains(&name.as_str()) { None } else { Some(REGISTRY) };
        assert_eq!(source.as_deref(), expected, "{name} {version}");
        versions.entry(name).or_default().push(version);
    }
    for line in deny.lines().filter(|line| line.trim_start().starts_with("{ crate = ")) {
        let name = line.split('"').nth(1).unwrap();
        let found = versions.get(name).map_or(&[][..], Vec::as_slice);
        if line.contains("deny-multiple-versions") {
            assert_eq!(found.len(), 1, "{name}: exactly one version belongs in Cargo.lock, found {found:?}");
        } else {
            assert!(found.is_empty(), "{name} {found:?} is banned: {line}");
        }
    }
}

/// Packages of this platform: the others' manifests need not be on this machine.
#[test]
fn licences_are_allowed() {
    let deny = read("deny.toml");
    let allowed: BTreeSet<&str> = list(&deny, "allow").concat().into_iter().collect();
    assert!(allowed.contains("MIT") && !allowed.iter().any(|l| l.contains("GPL")), "{allowed:?}");
    let host = format!("--filter-platform={}", host_triple());
    let metadata = MetadataCommand::new()
        .manifest_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .other_options([host, "--locked".to_owned()])
        .exec()
        .unwrap();
    let used: BTreeSet<_> = metadata.resolve.unwrap().nodes.into_iter().map(|node| node.id).collect();
    assert!(used.len() > 100, "{} packages", used.len());
    for package in metadata.packages.iter().filter(|package| used.contains(&package.id)) {
        let licence = package.license.as_deref().unwrap_or_default();
        assert!(satisfied(licence, &allowed), "{} {}: licence '{licence}'", package.name, package.version);
    }
}

fn host_triple() -> String {
    let output = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}
