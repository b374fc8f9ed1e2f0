//! Mutants of configurations, shard indices and tokenizers: no panic, none slow.

mod rng;

use std::time::{Duration, Instant};

use rng::Rng;
use syncline_loader::config::{ClipTextConfig, ModelIndex, SchedulerConfig, UNet2DConditionConfig};
use syncline_loader::{LoadError, Tokenizer};

const WORDS: [&str; 14] = [
    "null",
    "true",
    "-1",
    "0",
    "1e400",
    "NaN",
    "18446744073709551616",
    "\"\"",
    "[]",
    "{}",
    "[[",
    "\"\\ud800\"",
    ",",
    "}",
];

/// Cuts, doubles, replaces and inserts parts of a text.
fn mutant(text: &str, rng: &mut Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len());
        let to = (at + rng.below(24)).min(bytes.len());
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            3 => drop(bytes.splice(at..to, WORDS[rng.below(WORDS.len())].bytes())),
            4 if !bytes.is_empty() => bytes[at] = b' ' + rng.below(95) as u8,
            _ if !bytes.is_empty() => bytes[at] = rng.next() as u8,
            _ => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check<T>(name: &str, seed: u64, parse: impl FnOnce() -> Result<T, LoadError>) -> bool {
    let start = Instant::now();
    let outcome = parse();
    assert!(start.elapsed() < Duration::from_secs(1), "{name} {seed} took {:?}", start.elapsed());
    if let Err(error) = &outcome {
        let text = error.to_string();
        assert!(text.lines().count() <= 6, "{name} {seed}: {text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{name} {seed}: {text:?}");
    }
    outcome.is_ok()
}

#[test]
fn mutants_of_configurations() {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/mini/model/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (unet, text) = (read("unet/config.json"), read("text_encoder/config.json"));
    let (scheduler, index) = (read("scheduler/scheduler_config.json"), read("model_index.json"));
    let mut accepted = 0;
    for seed in 0..2_500 {
        let mut rng = Rng(seed);
        let (a, b) = (mutant(&unet, &mut rng), mutant(&text, &mut rng));
        let (c, d) = (mutant(&scheduler, &mut rng), mutant(&index, &mut rng));
        accepted += usize::from(check("unet", seed, || UNet2DConditionConfig::from_json("c.json", &a)));
        accepted += usize::from(check("text", seed, || ClipTextConfig::from_json("c.json", &b)));
        accepted += usize::from(check("scheduler", seed, || SchedulerConfig::from_json("c.json", &c)));
        accepted += usize::from(check("index", seed, || ModelIndex::from_json("c.json", &d)));
    }
    assert!((100..9_000).contains(&accepted), "{accepted} accepted");
}

#[test]
fn mutants_of_tokenizers() {
    let vocab = r#"{"a":0,"b":1,"c":2,"a</w>":3,"b</w>":4,"c</w>":5,"ab":6,"ab</w>":7,"abc</w>":8,"<|startoftext|>":9,"<|endoftext|>":10}"#;
    let merges = "#version: 0.2\na b\na b</w>\nab c</w>\n";
    let mut accepted = 0;
    for seed in 0..4_000 {
        let mut rng = Rng(seed);
        let vocab = if rng.below(2) == 0 { mutant(vocab, &mut rng) } else { vocab.to_owned() };
        let merges = if rng.below(2) == 0 { mutant(merges, &mut rng) } else { merges.to_owned() };
        accepted += usize::from(check("tokenizer", seed, || {
            let tokenizer = Tokenizer::from_parts(&vocab, &merges)?;
            for prompt in ["abc ab b", "xyz \u{0} 漢字", "<|endoftext|>", "!", ""] {
                assert_eq!(tokenizer.encode_padded(prompt).0.len(), 77);
            }
            Ok(())
        }));
    }
    assert!((500..3_800).contains(&accepted), "{accepted} accepted");
}

#[test]
fn hostile_prompts_are_only_text() {
    let clip = Tokenizer::clip().unwrap();
    let mut rng = Rng(1);
    let start = Instant::now();
    for _ in 0..500 {
        let text: String = (0..rng.below(200)).filter_map(|_| char::from_u32(rng.below(0x11_0000) as u32)).collect();
        let (ids, cut) = clip.encode_padded(&text);
        assert_eq!((ids.len(), ids[0]), (77, 49406));
        assert_eq!(clip.encode(&text).len().saturating_sub(75), cut);
    }
    // One endless word is the worst case of byte-pair merging.
    assert!(clip.encode_padded(&"a".repeat(200_000)).1 > 1_000);
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
