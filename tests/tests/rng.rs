//! Noise against torch's own, recorded in tests/golden/rng.json as f32 bit patterns.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use syncline::rng::{CpuFill, CpuGenerator};

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/rng.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Bits of one draw beside those recorded.
struct Compared {
    /// Found and expected, where single values are recorded.
    pairs: Vec<(u32, u32)>,
    /// Whether the checksum over all values agrees.
    all_equal: bool,
}

fn compare(drawn: &[f32], expected: &Value) -> Compared {
    let found: Vec<u32> = drawn.iter().map(|v| v.to_bits()).collect();
    let mut pairs = Vec::new();
    for (key, from_end) in [("bits", false), ("first_bits", false), ("last_bits", true)] {
        let Some(recorded) = expected[key].as_array() else { continue };
        let start = if from_end { found.len() - recorded.len() } else { 0 };
        for (f, r) in found[start..].iter().zip(recorded) {
            pairs.push((*f, u32::from_str_radix(r.as_str().unwrap(), 16).unwrap()));
        }
    }
    let weighted = found.iter().zip(0u64..).map(|(b, i)| u64::from(*b).wrapping_mul(2 * i + 1));
    let sum = weighted.fold(0u64, u64::wrapping_add);
    let all_equal = format!("{sum:016x}") == expected["checksum"].as_str().unwrap();
    Compared { pairs, all_equal }
}

fn count(expected: &Value) -> usize {
    let shape = expected["shape"].as_array().unwrap();
    shape.iter().map(|n| n.as_u64().unwrap() as usize).product()
}

/// Every draw recorded under `key`, made in its order from one generator a case.
fn each_draw(key: &str, fill: CpuFill, mut check: impl FnMut(&str, Compared)) -> usize {
    let (golden, mut draws) = (golden(), 0);
    for case in golden[key].as_array().unwrap() {
        let seed = case["seed"].as_u64().unwrap();
        let mut generator = CpuGenerator::with_fill(seed, fill);
        for expected in case["randn"].as_array().unwrap() {
            let label = format!("{key}, seed {seed}, shape {}", expected["shape"]);
            check(&label, compare(&generator.randn(count(expected)), expected));
            draws += 1;
        }
    }
    draws
}

#[test]
fn cpu_noise_equals_torch_on_x86_bit_for_bit() {
    let draws = each_draw("avx2", CpuFill::Vector, |label, compared| {
        assert!(compared.pairs.iter().all(|(a, b)| a == b), "{label}");
        assert!(compared.all_equal, "{label}: a value not listed differs");
    });
    println!("{draws} draws equal");
    assert!(draws >= 20);
}

/// Elsewhere torch calls the C library, whose logarithm, sine and cosine are not all correctly rounded as ours are: about one
/// value in fifty differs, by 1 or 2 ULP. Draws below sixteen use f64 and agree.
#[test]
fn cpu_noise_equals_torch_elsewhere_to_2_ulp() {
    let (mut far, mut different, mut compared_values) = (0, 0, 0);
    each_draw("default", CpuFill::Library, |label, compared| {
        for (a, b) in &compared.pairs {
            far = far.max(a.abs_diff(*b));
            different += usize::from(a != b);
        }
        compared_values += compared.pairs.len();
        assert!(compared.pairs.len() >= 16 || compared.all_equal, "{label}");
    });
    println!("{different} of {compared_values} values differ, at most by {far} ULP");
    assert!(far <= 2, "{far} ULP");
    assert!(different * 20 < compared_values, "{different} of {compared_values} differ");
}

#[test]
fn uniform_numbers_equal_torch() {
    for case in golden()["uniform"].as_array().unwrap() {
        let mut generator = CpuGenerator::new(case["seed"].as_u64().unwrap());
        for expected in case["rand"].as_array().unwrap() {
            assert!(compare(&generator.rand(count(expected)), expected).all_equal, "{case}");
        }
    }
}
