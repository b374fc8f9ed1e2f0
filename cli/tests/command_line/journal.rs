//! Jobs that are stopped, and go on.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::runner::{Folder, PROMPT};

/// A panorama of few, tiny views that writes its journal after each of its outer steps.
const TINY: [&str; 22] = [
    "panorama",
    "-p",
    PROMPT,
    "--preset",
    "draft",
    "--steps",
    "10",
    "--ode-steps",
    "1",
    "--min-ode-steps",
    "1",
    "--views",
    "2",
    "--pano-size",
    "256x128",
    "--view-size",
    "64",
    "--precision",
    "f32",
    "--force",
    "-o",
    "p.png",
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&TINY[..], &["--journal-interval", "0"], more].concat()
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    folder.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A run that is killed as soon as its journal is there.
fn stopped(args: &[&str]) -> Folder {
    let folder = Folder::new();
    let mut child = start(&folder, args);
    let began = Instant::now();
    while !folder.path().join("p.png.journal").exists() {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none(), "no journal");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.names(), ["p.png.journal"]);
    folder
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    /// A number below `n` (xorshift64*).
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

/// Whatever is in the folder is whole.
fn check(folder: &Folder, expected: &[u8]) {
    for name in folder.names() {
        let bytes = folder.bytes(&name);
        match name.as_str() {
            "p.png" => assert!(bytes == expected, "another picture of {} bytes", bytes.len()),
            // Between two names a file is whole, too; the next writer takes it away.
            "p.png.journal" | ".syncline-p.png.journal.new" => {
                safetensors::SafeTensors::deserialize(&bytes).unwrap();
            }
            ".syncline-p.png.new" => assert!(bytes == expected),
            other => panic!("{other} is left"),
        }
    }
}

/// Kills at moments of a fixed seed, over the whole length of a run; every fifth time it may run to its end.
fn kill_at_random(kills: u32, seed: u64) {
    let folder = Folder::new();
    folder.run(&with(&[])).exits(0);
    let began = Instant::now();
    folder.run(&with(&[])).exits(0);
    let mut length = began.elapsed().as_micros() as u64;
    let expected = folder.bytes("p.png");
    assert_eq!(folder.names(), ["p.png"]);
    let args = with(&["--resume"]);
    let (mut dice, mut killed, mut journals, mut ends) = (Dice(seed), 0, 0, 0);
    let finish = |folder: &Folder| {
        folder.run(&args).exits(0);
        assert!(folder.bytes("p.png") == expected, "a run that went on gives other bytes");
        assert_eq!(folder.names(), ["p.png"]);
        std::fs::remove_file(folder.path().join("p.png")).unwrap();
    };
    std::fs::remove_file(folder.path().join("p.png")).unwrap();
    while killed < kills {
        let mut child = start(&folder, &args);
        // The first half of a run is its start, before the first step: every other kill comes later.
        let earliest = if killed % 2 == 0 { 0 } else { length / 2 };
        let (began, end) = (Instant::now(), Duration::from_micros(earliest + dice.below(length - earliest)));
        while began.elapsed() < end && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(300));
        }
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
        }
        let status = child.wait().unwrap();
        check(&folder, &expected);
        journals += u32::from(folder.path().join("p.png.journal").exists());
        if status.code().is_some() {
            assert_eq!(status.code(), Some(0));
            ends += 1;
            // A run takes longer on a busy machine than on one at rest.
            length = length.min(began.elapsed().as_micros() as u64);
            std::fs::remove_file(folder.path().join("p.png")).unwrap();
            continue;
        }
        killed += 1;
        if killed % 5 == 0 {
            finish(&folder);
        }
    }
    finish(&folder);
    println!(
        "{killed} kills in runs of {length} us: {journals} times a journal was there, {ends} runs had ended before"
    );
    assert!(journals > 0, "no kill ever fell between two steps");
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_bytes() {
    kill_at_random(12, 0x5EED_0001);
}

/// `make test-long`.
#[test]
#[ignore = "a minute or more"]
fn killed_fifty_times_it_goes_on_to_the_same_bytes() {
    kill_at_random(50, 0x5EED_0002);
}

#[test]
fn a_journal_of_other_options_is_refused_with_what_differs() {
    let folder = stopped(&with(&[]));
    let journal = folder.bytes("p.png.journal");
    let cases: [(&[&'static str], &[&str]); 4] = [
        (
            &["--resume", "--seed", "7"],
            &["p.png.journal belongs to a run with other settings", "seed: there \"42\", now \"7\""],
        ),
        (&["--resume", "--t-max", "500"], &["method: there \"t_max: 650.0\", now \"t_max: 500.0\""]),
        (&["--resume", "--negative-prompt", "night"], &["negative prompt: there \"\", now \"night\""]),
        (&["--resume", "--precision", "f16"], &["precision: there \"F32\", now \"F16\""]),
    ];
    for (more, parts) in cases {
        // The last of two equal flags counts nowhere: what is given twice is left out first.
        let mut args = with(&[]);
        if let Some(at) = args.iter().position(|arg| *arg == more[1]) {
            args.drain(at..at + 2);
        }
        folder.run(&[&args[..], more].concat()).exits(2).gives_nothing().says(parts);
    }
    assert_eq!(folder.names(), ["p.png.journal"]);
    assert!(folder.bytes("p.png.journal") == journal, "a refused journal is left alone");
}

#[test]
fn broken_journals_are_refused() {
    let folder = stopped(&with(&[]));
    let journal = folder.bytes("p.png.journal");
    let mut flipped = journal.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bytes in [&journal[..journal.len() - 1], &flipped, b"", b"a text"] {
        folder.write("p.png.journal", bytes);
        folder.run(&with(&["--resume"])).exits(3).gives_nothing().says(&["p.png.journal: found", "without --resume"]);
    }
    assert_eq!(folder.names(), ["p.png.journal"]);
}

#[test]
fn without_resume_a_journal_is_mentioned_and_replaced() {
    let folder = stopped(&with(&[]));
    let run =
        folder.run(&with(&[])).exits(0).says(&["p.png.journal is there from a stopped run; --resume would go on"]);
    assert_eq!(run.stdout, "p.png\n");
    let whole = folder.bytes("p.png");
    assert_eq!(folder.names(), ["p.png"]);
    folder.run(&with(&["--resume"])).exits(0).says(&["p.png.journal is not there: starting from the beginning"]);
    assert_eq!((folder.names(), folder.bytes("p.png") == whole), (vec!["p.png".to_owned()], true));
}

#[test]
fn a_random_seed_is_that_of_the_journal() {
    let random = ["--seed", "random"];
    let folder = stopped(&with(&random));
    let run = folder.run(&with(&["--resume", "--seed", "random", "--json"])).exits(0);
    let result = run.events().pop().unwrap();
    assert_eq!(result["event"], "result");
    let seed = result["seed"].as_u64().unwrap().to_string();
    let resumed = folder.bytes("p.png");
    folder.run(&[&with(&["--seed"])[..], &[seed.as_str()]].concat()).exits(0);
    assert!(resumed == folder.bytes("p.png"));
}

/// A preview is a picture at any moment, and a folder that vanishes stops the job.
#[test]
fn previews_are_written_while_it_runs() {
    let folder = Folder::new();
    folder.run(&with(&["--preview", "1=look.png"])).exits(0);
    assert_eq!(folder.names(), ["look.png", "p.png"]);
    assert_eq!(crate::runner::pixels(&folder.bytes("look.png")).0, (256, 128));
    let shown = |args: &[&str]| -> Folder {
        let folder = Folder::new();
        folder.run(args).exits(0);
        folder
    };
    let plain = shown(&with(&["--preview", "3"]));
    assert_eq!(plain.names(), ["p.png", "p_preview.png"]);
    assert_eq!(plain.bytes("p.png"), folder.bytes("p.png"), "looking changes nothing");
    for bad in ["0", "x", "2="] {
        folder
            .run(&[&TINY[..], &["--preview", bad]].concat())
            .exits(2)
            .gives_nothing()
            .says(&["a number of steps from 1"]);
    }
    folder.run(&with(&["--preview", "1=nowhere/look.png"])).exits(9).gives_nothing().says(&["the folder nowhere"]);
}

#[test]
fn a_disk_that_refuses_stops_the_job() {
    let folder = Folder::new();
    let sub = folder.path().join("sub");
    std::fs::create_dir(&sub).unwrap();
    let look = Path::new("sub/look.png").to_str().unwrap();
    let preview = format!("1={look}");
    let mut args: Vec<&str> = with(&[]);
    args.extend(["--preview", &preview]);
    let mut child = folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    // The folder is checked first, and gone when the first preview comes.
    while !folder.path().join("p.png.journal").exists() && began.elapsed() < Duration::from_secs(60) {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = std::fs::remove_dir_all(&sub);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // A machine so slow that the job ended first has shown nothing.
    if output.status.code() != Some(0) {
        assert_eq!(output.status.code(), Some(9), "{stderr}");
        assert!(stderr.contains("look.png"), "{stderr}");
        assert!(!folder.path().join("p.png").exists());
    }
}
