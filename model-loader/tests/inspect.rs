//! What `inspect` says of single files.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use keys::{Tensors, diffusers, list, values, write};
use syncline_loader::inspect;

fn tensors(rows: &[(&str, &[usize])]) -> Tensors {
    let of =
        |(name, shape): &(&str, &[usize])| ((*name).into(), (shape.to_vec(), values(name, shape.iter().product())));
    rows.iter().map(of).collect()
}

#[test]
fn additions_say_what_they_are_for() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("sparkle.safetensors");
    let stem = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
    let (down, up) = (format!("{stem}.lora_down.weight"), format!("{stem}.lora_up.weight"));
    write(&path, &tensors(&[(&down, &[4, 1024]), (&up, &[320, 4])]));
    let report = inspect(&path).unwrap();
    assert!(report.problem.is_none(), "{:?}", report.problem);
    assert_eq!(report.about, ["for SD-2.x: 1 layers of unet; use it with --lora FILE[:WEIGHT]"]);
    write(&path, &tensors(&[("emb_params", &[3, 768])]));
    let report = inspect(&path).unwrap();
    assert_eq!(report.about, ["for SD-1.x: the word \"sparkle\" with 3 vectors; use it with --embedding FILE"]);
    // Kinds that cannot be used are problems.
    write(&path, &tensors(&[(&down, &[4, 1024]), (&up, &[320, 4]), (&format!("{stem}.dora_scale"), &[320, 1])]));
    let report = inspect(&path).unwrap();
    assert!(report.problem.unwrap().contains("DoRA"));
    assert_eq!(report.code.unwrap().exit_code(), 4);
}

#[test]
fn checkpoints_are_compared_with_their_family() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mystery.safetensors");
    write(&path, &diffusers(&list("unet-sd21")));
    let report = inspect(&path).unwrap();
    // Small tensors in a family of large ones.
    assert!(report.problem.unwrap().contains("misshaped"));
    assert_eq!(report.family.unwrap(), "SD-2.x (StableDiffusionPipeline)");
    assert_eq!(report.prediction_type, None);
    assert!(report.about[0].contains("--prediction"), "{:?}", report.about);
    assert_eq!(report.about[1], "holds unet");
    let named = root.path().join("v2-1_768.safetensors");
    std::fs::rename(&path, &named).unwrap();
    assert_eq!(inspect(&named).unwrap().prediction_type.unwrap(), "v_prediction");
}
