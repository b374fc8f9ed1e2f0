//! Starting the binary in an empty folder and reading what it left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The smallest picture: one step of 64 x 64.
pub const SMALL: [&str; 9] = ["txt2img", "--precision", "f32", "--steps", "1", "-W", "64", "-H", "64"];

/// The prompt of most tests.
pub const PROMPT: &str = "sunset over desert dunes";

/// An empty folder that commands run in.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Names in it, sorted; hidden ones too.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}; there are {:?}", self.names()))
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary, not yet started, without what the environment says about adapters and logs.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG").env_remove("WGPU_ADAPTER_NAME");
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap(), args)
    }

    /// `txt2img` of the smallest picture with more flags.
    pub fn small(&self, more: &[&str]) -> Run {
        self.run(&[&SMALL[..], more].concat())
    }
}

/// What a run said.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    args: String,
}

impl Run {
    pub fn of(output: Output, args: &[&str]) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            args: args.join(" "),
        }
    }

    /// The run ended with `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let Self { stdout, stderr, args, .. } = &self;
        assert_eq!(self.code, Some(code), "syncline {args}\nstdout: {stdout}\nstderr: {stderr}");
        self
    }

    /// Every part is on stderr.
    #[track_caller]
    pub fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "syncline {}\nexpected: {part}\nstderr: {}", self.args, self.stderr);
        }
        self
    }

    /// Nothing is on stdout: a failure has no result.
    #[track_caller]
    pub fn gives_nothing(self) -> Self {
        assert_eq!(self.stdout, "", "syncline {}", self.args);
        self
    }

    /// The lines of stdout as JSON events of schema 1.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let parse = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(event["schema"], 1, "{line}");
            assert!(event["event"].is_string(), "{line}");
            event
        };
        self.stdout.lines().map(parse).collect()
    }
}

/// A picture of [`SMALL`] and [`PROMPT`], made once, that others are compared with.
pub struct Reference {
    pub folder: Folder,
    pub run: Run,
    pub png: Vec<u8>,
}

pub fn reference() -> &'static Reference {
    static REFERENCE: OnceLock<Reference> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let folder = Folder::new();
        let run = folder.small(&["-p", PROMPT, "-o", "reference.png"]).exits(0);
        let png = folder.bytes("reference.png");
        Reference { folder, run, png }
    })
}

impl Reference {
    pub fn path(&self) -> String {
        self.folder.path().join("reference.png").display().to_string()
    }
}

/// A decoded picture: its size and RGB bytes.
pub fn pixels(png: &[u8]) -> ((u32, u32), Vec<u8>) {
    let rgb = image::load_from_memory(png).unwrap().to_rgb8();
    (rgb.dimensions(), rgb.into_raw())
}

/// Text chunks of a PNG by keyword.
pub fn texts(png: &[u8]) -> Vec<(String, String)> {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let info = reader.info();
    let plain = info.uncompressed_latin1_text.iter().map(|c| (c.keyword.clone(), c.text.clone()));
    plain.chain(info.utf8_text.iter().map(|c| (c.keyword.clone(), c.get_text().unwrap()))).collect()
}

/// The text chunk with a keyword.
#[track_caller]
pub fn text(png: &[u8], keyword: &str) -> String {
    let found = texts(png).into_iter().find(|(k, _)| k == keyword);
    found.unwrap_or_else(|| panic!("no {keyword} chunk")).1
}
