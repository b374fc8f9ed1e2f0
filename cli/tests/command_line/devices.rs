//! Adapters and memory.

use crate::runner::{Folder, PROMPT, pixels, reference};

#[test]
fn adapters_are_listed_and_chosen_by_number_or_name() {
    let folder = Folder::new();
    let event = folder.run(&["devices", "--json"]).exits(0).events().remove(0);
    let adapters = event["adapters"].as_array().unwrap();
    assert!(!adapters.is_empty());
    for key in ["index", "name", "backend", "kind", "driver", "shader_f16", "max_binding", "max_buffer"] {
        assert!(adapters.iter().all(|a| !a[key].is_null()), "{key}");
    }
    let name = adapters[0]["name"].as_str().unwrap();
    let text = folder.run(&["devices"]).exits(0).stdout;
    assert!(text.starts_with(&format!("0\t{name}\t")), "{text}");
    let word = name.split_whitespace().next().unwrap();
    folder.small(&["-p", PROMPT, "--device", word, "-o", "a.png"]).exits(0);
    folder.small(&["-p", PROMPT, "--device", "0", "-o", "b.png"]).exits(0);
    assert_eq!(folder.bytes("a.png"), folder.bytes("b.png"));
}

#[test]
fn adapters_that_do_not_exist_are_told_with_those_that_do() {
    let folder = Folder::new();
    for device in ["nosuch", "99"] {
        let run = folder.small(&["-p", PROMPT, "--device", device]).exits(5).gives_nothing();
        run.says(&["no suitable adapter", &format!("wanted {device}"), "found [", "syncline devices"]);
    }
    if cfg!(target_os = "linux") {
        folder.small(&["-p", PROMPT, "--backend", "metal"]).exits(5).gives_nothing().says(&["no suitable adapter"]);
        folder.run(&["devices", "--backend", "dx12"]).exits(5).gives_nothing().says(&["no adapter found"]);
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_memory_budget_is_kept() {
    let folder = Folder::new();
    // Less than the weights, and less than the activations of a large picture.
    for (budget, side) in [("0.001", "64"), ("0.05", "1024")] {
        let size = ["txt2img", "--precision", "f32", "-W", side, "-H", side, "--steps", "1"];
        let run = folder.run(&[&size[..], &["-p", PROMPT, "--max-vram", budget]].concat()).exits(6).gives_nothing();
        run.says(&["out of GPU memory: ", " needs ", " are in use", "raise --max-vram"]);
    }
    assert_eq!(folder.names(), [""; 0]);
    folder.small(&["-p", PROMPT, "--max-vram", "0.5", "-o", "a.png"]).exits(0);
    assert_eq!(folder.bytes("a.png"), reference().png);
}

/// What WebGPU promises everywhere is enough, for the same picture within rounding.
#[test]
fn webgpu_limits_are_enough() {
    let folder = Folder::new();
    folder.small(&["-p", PROMPT, "--webgpu-limits", "-o", "a.png"]).exits(0);
    let (found, expected) = (pixels(&folder.bytes("a.png")), pixels(&reference().png));
    let far = found.1.iter().zip(&expected.1).filter(|(a, b)| a.abs_diff(**b) > 2).count();
    assert_eq!((found.0, far), (expected.0, 0));
}
