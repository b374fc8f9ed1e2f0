//! Prompts of every kind, and seeds.

use crate::runner::{Folder, PROMPT, pixels, reference, text};

#[test]
fn any_text_is_a_prompt() {
    let folder = Folder::new();
    let cases = [
        "",
        "   ",
        "zxqv flumph ünïcode 砂丘 🌵 \u{202e}right to left",
        "--looks-like-a-flag",
        "tab\tand\r\nline\u{7}bell",
    ];
    for prompt in cases {
        folder.small(&["-p", prompt, "-o", "a.png", "--force"]).exits(0);
        let parameters = text(&folder.bytes("a.png"), "parameters");
        assert!(
            parameters.starts_with(&if prompt.is_empty() { "Steps".to_owned() } else { format!("{prompt}\n") }),
            "{parameters}"
        );
    }
    // The last one is safe on a terminal.
    let run = folder.run(&["inspect", "a.png"]).exits(0);
    assert!(run.stdout.starts_with("tab\tand\\r\nline\\u{7}bell\n"), "{:?}", run.stdout);
}

#[test]
fn a_long_prompt_is_read_whole() {
    let folder = Folder::new();
    let prompt = ["wood"; 500].join(" ");
    let run = folder.small(&["-p", &prompt, "-o", "a.png"]).exits(0);
    assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
    assert_eq!(run.stdout, "a.png\n");
    assert!(text(&folder.bytes("a.png"), "parameters").starts_with(&prompt));
}

#[test]
fn prompts_come_from_files() {
    let folder = Folder::new();
    folder.write("prompt.txt", format!("{PROMPT}\n"));
    folder.small(&["-p", "@prompt.txt", "-o", "a.png"]).exits(0);
    assert_eq!(folder.bytes("a.png"), reference().png);
    folder.write("latin1.txt", b"d\xfcne");
    folder.write("long.txt", vec![b'a'; (1 << 20) + 1]);
    for (prompt, part) in [
        ("@nowhere.txt", "prompt file 'nowhere.txt': found No such file"),
        ("@latin1.txt", "expected UTF-8 text"),
        ("@long.txt", "found more, expected UTF-8 text of at most 1 MiB"),
        ("@.", "prompt file '.': found Is a directory"),
        ("@", "prompt file ''"),
    ] {
        for flag in ["-p", "-n"] {
            folder.small(&[flag, prompt, "-o", "b.png"]).exits(3).gives_nothing().says(&[part, "give such a file"]);
        }
    }
    assert_eq!(folder.names(), ["a.png", "latin1.txt", "long.txt", "prompt.txt"]);
}

#[test]
fn negative_prompts_guide_and_are_recorded() {
    let folder = Folder::new();
    folder.small(&["-p", PROMPT, "-n", "night, snow", "-o", "a.png"]).exits(0);
    let png = folder.bytes("a.png");
    assert!(text(&png, "parameters").contains("\nNegative prompt: night, snow\nSteps: 1"));
    assert_ne!(pixels(&png), pixels(&reference().png));
}

#[test]
fn a_random_seed_is_told_and_gives_the_same_picture_again() {
    let folder = Folder::new();
    let mut seeds = Vec::new();
    for word in ["-1", "random"] {
        let run = folder.small(&["-p", PROMPT, "--seed", word, "-o", "a.png", "--force"]).exits(0);
        let line = run.stderr.lines().find_map(|line| line.strip_prefix("seed ")).unwrap();
        seeds.push(line.to_owned());
    }
    assert_ne!(seeds[0], seeds[1]);
    let png = folder.bytes("a.png");
    assert!(text(&png, "parameters").contains(&format!("Seed: {}, ", seeds[1])));
    folder.small(&["-p", PROMPT, "--seed", &seeds[1], "-o", "b.png"]).exits(0);
    assert_eq!(folder.bytes("b.png"), png);
}

#[test]
fn the_largest_seed_and_its_successor_in_a_batch() {
    let folder = Folder::new();
    folder.small(&["-p", PROMPT, "-s", "18446744073709551615", "-b", "2", "-o", "%d.png"]).exits(0);
    assert!(text(&folder.bytes("1.png"), "parameters").contains("Seed: 18446744073709551615,"));
    assert!(text(&folder.bytes("2.png"), "parameters").contains("Seed: 0,"));
}
