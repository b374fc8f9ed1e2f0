//! Ctrl-C.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::runner::{Folder, PROMPT, reference};

/// SIGINT after the first progress line of a job that would run for minutes.
fn interrupt(args: &[&str]) {
    let folder = Folder::new();
    let mut child = folder.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    // Some commands say first what they have found.
    for _ in 0..2 {
        if !first.contains('/') {
            stderr.read_line(&mut first).unwrap();
        }
    }
    assert!(first.contains('/'), "no progress line: {first}");
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
    let begin = Instant::now();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{first}{rest}");
    assert!(rest.ends_with("error: interrupted; nothing was written\n"), "{rest}");
    // A submit on a machine at rest takes less than half a second; the rest is for crowded ones.
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!((stdout.as_str(), folder.names()), ("", vec![]), "nothing is left");
}

#[test]
fn an_interrupted_picture_leaves_nothing() {
    // Its shaders are compiled by now: that is one call into the driver, which cannot be interrupted.
    assert!(!reference().png.is_empty());
    let size = ["-W", "64", "-H", "64"];
    interrupt(&[&["txt2img", "--precision", "f32", "-p", PROMPT, "--steps", "999", "-o", "a.png"], &size[..]].concat());
}

#[test]
fn an_interrupted_panorama_leaves_nothing() {
    interrupt(&["panorama", "--precision", "f32", "-p", PROMPT, "--preset", "paper", "--report", "r.json"]);
}

#[test]
fn an_interrupted_set_leaves_nothing() {
    let input = Folder::new();
    for i in 0..3 {
        let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([90 + i, 120, 150]));
        picture.save(input.path().join(format!("{i}.png"))).unwrap();
    }
    let input = input.path().display().to_string();
    let texts = ["--source-prompt", PROMPT, "-p", "snow"];
    interrupt(
        &[&["edit-set", "--precision", "f32", "-i", &input, "-o", "out", "--steps", "9999"], &texts[..]].concat(),
    );
}
