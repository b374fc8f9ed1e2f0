//! Ten thousand seeded mutants of a sound file: no panic, none slow, and nothing accepted that the reference reader refuses.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod crafted;
mod rng;

use std::time::{Duration, Instant};

use rng::Rng;
use syncline_loader::Weights;

const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "1e9",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1.5",
    "\"x\"",
    "[]",
    "null",
    "48",
];

/// Replaces a run of digits in the header by another number.
fn renumber(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let digits: Vec<usize> = (8..bytes.len().min(400)).filter(|i| bytes[*i].is_ascii_digit()).collect();
    if digits.is_empty() {
        return;
    }
    let start = digits[rng.below(digits.len())];
    let end = (start..bytes.len()).find(|i| !bytes[*i].is_ascii_digit()).unwrap_or(bytes.len());
    let number = NUMBERS[rng.below(NUMBERS.len())];
    let grown = number.len() as i64 - (end - start) as i64;
    bytes.splice(start..end, number.bytes());
    // Usually the length is put right, so that the number itself is what is tested.
    if rng.below(4) > 0 && bytes.len() > 8 {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[..8].copy_from_slice(&length.wrapping_add_signed(grown).to_le_bytes());
    }
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(bytes.len());
    match rng.below(14) {
        0 => bytes.truncate(at),
        1 if !bytes.is_empty() => bytes[at] ^= 1 << rng.below(8),
        2 if !bytes.is_empty() => bytes[at] = rng.next() as u8,
        3 => bytes.insert(at.min(bytes.len()), rng.next() as u8),
        4 if !bytes.is_empty() => drop(bytes.remove(at)),
        5 if bytes.len() >= 8 => bytes[rng.below(8)] = rng.next() as u8,
        6 => {
            let to = (at + rng.below(40)).min(bytes.len());
            let part = bytes[at..to].to_vec();
            let into = rng.below(bytes.len() + 1);
            bytes.splice(into..into, part);
        }
        // Values and letters alone: these files stay sound and reach the reader's later half.
        7..=9 if bytes.len() > 88 => {
            let i = bytes.len() - 1 - at % 80;
            bytes[i] = rng.next() as u8;
        }
        10 if bytes.get(at).is_some_and(u8::is_ascii_lowercase) => bytes[at] = b'a' + rng.below(26) as u8,
        11 => bytes.extend((0..rng.below(64)).map(|_| 0)),
        _ => renumber(bytes, rng),
    }
}

#[test]
fn ten_thousand_mutants() {
    let sound = crafted::sound();
    let (mut accepted, mut slowest) = (0, Duration::ZERO);
    for seed in 0..10_000u64 {
        let mut rng = Rng(seed);
        let mut bytes = sound.clone();
        for _ in 0..=rng.below(5) / 3 {
            mutate(&mut bytes, &mut rng);
        }
        let start = Instant::now();
        match Weights::from_bytes("mutant", bytes.clone()) {
            Ok(weights) => {
                accepted += 1;
                check_accepted(seed, &weights, &bytes);
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.lines().count() <= 6, "mutant {seed}: {text}");
                assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "mutant {seed}: {text:?}");
            }
        }
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "slowest {slowest:?}");
    assert!((500..9_000).contains(&accepted), "{accepted} accepted");
}

fn check_accepted(seed: u64, weights: &Weights, bytes: &[u8]) {
    let reference = safetensors::SafeTensors::deserialize(bytes).unwrap_or_else(|e| panic!("mutant {seed}: {e}"));
    assert_eq!(weights.len(), reference.len(), "mutant {seed}");
    for info in weights.infos() {
        let theirs = reference.tensor(info.name).unwrap();
        let ours = weights.get(info.name).unwrap().unwrap();
        assert_eq!((ours.bytes(), ours.shape.as_slice()), (theirs.data(), theirs.shape()), "mutant {seed}");
        assert_eq!(ours.to_f32().len(), ours.len());
        // Refused for its values or type perhaps, but never by a panic.
        drop(weights.scope().take(info.name, info.shape));
    }
    drop(weights.finish(&[]));
}
