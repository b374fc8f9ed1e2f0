//! Results on stdout, everything else on stderr, events with `--json`.

use std::io::Read;
use std::process::Stdio;

use crate::runner::{Folder, PROMPT, Run, SMALL, reference};

#[test]
fn stdout_has_only_paths_and_stderr_the_progress() {
    let run = &reference().run;
    assert_eq!(run.stdout, "reference.png\n");
    for part in ["denoise: 0/1", "decode:", "done in "] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert!(!run.stderr.contains('\x1b'), "escape sequences without a terminal: {:?}", run.stderr);
}

#[test]
fn quiet_says_nothing_but_the_path() {
    let folder = Folder::new();
    let run = folder.small(&["-q", "-p", PROMPT, "-o", "a.png"]).exits(0);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("a.png\n", ""));
}

#[test]
fn json_is_one_event_per_line() {
    let folder = Folder::new();
    let run = folder.small(&["--json", "-p", PROMPT, "--seed", "7", "-o", "a.png"]).exits(0);
    assert_eq!(run.stderr, "");
    let events = run.events();
    let (result, progress) = events.split_last().unwrap();
    assert_eq!((&result["event"], &result["seed"]), (&"result".into(), &7.into()));
    assert_eq!(result["paths"], serde_json::json!(["a.png"]));
    assert!(progress.iter().any(|e| e["stage"] == "denoise" && e["steps"] == 1), "{}", run.stdout);
    assert!(progress.iter().all(|e| e["event"] == "progress" && e["fraction"].as_f64().unwrap() <= 1.0));
}

#[test]
fn json_failures_are_events_with_the_exit_code() {
    let folder = Folder::new();
    let cases: [(&[&str], i32, &str); 4] = [
        (&["txt2img", "--json", "--seed", "-5"], 2, "0 to 18446744073709551615"),
        (&["txt2img", "--json", "--steps", "0"], 2, "steps: found 0"),
        (&["txt2img", "--json", "-m", "nowhere"], 3, "nowhere: there is no such file, directory or preset"),
        (&["--json", "txt2img", "--device", "nosuch"], 5, "wanted nosuch"),
    ];
    for (args, code, part) in cases {
        let run = folder.run(args).exits(code);
        let events = run.events();
        let [event] = events.as_slice() else { panic!("{}", run.stdout) };
        assert_eq!((&event["event"], &event["code"]), (&"error".into(), &code.into()));
        let message = event["message"].as_str().unwrap();
        assert!(message.contains(part) && !message.starts_with("error"), "{message}");
        assert_eq!(run.stderr, "");
    }
    assert_eq!(folder.names(), [""; 0]);
}

/// `syncline … | head -0`: the picture is made all the same.
#[test]
fn readers_that_went_away_stop_nothing() {
    let folder = Folder::new();
    let args = [&SMALL[..], &["--json", "-p", PROMPT, "-o", "a.png"]].concat();
    let mut child = folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
    assert_eq!(folder.names(), ["a.png"]);
    let args = [&SMALL[..], &["-p", PROMPT, "-o", "b.png"]].concat();
    let mut child = folder.command(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(folder.names(), ["a.png", "b.png"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Folder::new().command(&["devices"]).stdout(full).output().unwrap();
    Run::of(output, &["devices"]).exits(9).says(&["cannot write to standard output"]);
}
