//! Pictures again, from what they say of themselves.

use crate::runner::{Folder, PROMPT, SMALL, pixels, text};

/// The same picture from its own record; another seed, another picture.
#[test]
fn a_picture_is_drawn_again() {
    let folder = Folder::new();
    let run = ["txt2img", "--precision", "f32", "-W", "64", "-H", "64", "--steps", "2", "-p", PROMPT, "-n", "night"];
    let more = ["--seed", "7", "--sampler", "heun", "--rng", "cpu", "--circularx", "--scheduler", "karras"];
    folder.run(&[&run[..], &more, &["--cfg-scale", "3", "-o", "a.png"]].concat()).exits(0);
    folder.run(&["rerun", "a.png", "--precision", "f32", "-o", "b.png"]).exits(0);
    folder.run(&["rerun", "a.png", "--precision", "f32", "--seed", "8", "-o", "c.png"]).exits(0);
    let [a, b, c] = ["a.png", "b.png", "c.png"].map(|name| folder.bytes(name));
    assert_eq!(pixels(&a), pixels(&b));
    assert_eq!(text(&a, "parameters"), text(&b, "parameters"));
    assert!(pixels(&a) != pixels(&c));

    folder.run(&["img2img", "--precision", "f32", "-p", PROMPT, "--steps", "3", "-i", "a.png", "-o", "d.png"]).exits(0);
    folder.run(&["rerun", "d.png", "-o", "e.png"]).exits(3).says(&["Denoising strength: 0.75", "with -i"]);
    folder.run(&["rerun", "d.png", "-i", "a.png", "--precision", "f32", "-o", "e.png"]).exits(0);
    assert_eq!(pixels(&folder.bytes("d.png")), pixels(&folder.bytes("e.png")));
}

/// A picture with the text of another tool only.
fn foreign(folder: &Folder, name: &str, parameters: &str) {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
    encoder.set_color(png::ColorType::Rgb);
    encoder.add_text_chunk("parameters".to_owned(), parameters.to_owned()).unwrap();
    encoder.write_header().unwrap().write_image_data(&[0; 12]).unwrap();
    folder.write(name, bytes);
}

#[test]
fn pictures_of_other_tools_are_drawn_again() {
    let folder = Folder::new();
    let line = "Steps: 1, Sampler: DPM++ 2M Karras, CFG scale: 5, Seed: 3, Size: 64x64, Model: ";
    foreign(&folder, "a.png", &format!("{PROMPT}\nNegative prompt: night\n{line}mini, Version: v1.6.0"));
    folder.run(&["rerun", "a.png", "--precision", "f32", "-o", "b.png"]).exits(0);
    let flags = ["-n", "night", "--seed", "3", "--sampler", "dpm++2m", "--scheduler", "karras", "-o", "c.png"];
    folder.run(&[&SMALL[..], &["-p", PROMPT], &flags].concat()).exits(0);
    assert_eq!(pixels(&folder.bytes("b.png")), pixels(&folder.bytes("c.png")));

    foreign(&folder, "model.png", &format!("{PROMPT}\n{line}v1-5"));
    folder.run(&["rerun", "model.png"]).exits(2).says(&["v1-5", "-m"]);
    foreign(&folder, "file.png", &format!("@/etc/passwd\n{line}mini"));
    folder.run(&["rerun", "file.png"]).exits(3).says(&["@/etc/passwd", "txt2img"]);
    foreign(&folder, "sampler.png", "x\nSteps: 2, Sampler: DPM fast, Seed: 1, Model: mini");
    folder.run(&["rerun", "sampler.png"]).exits(3).says(&["DPM fast", "dpm++2m"]);
    foreign(&folder, "control.png", &format!("x\n{line}mini, ControlNet 0: \"Module: depth, Weight: 1\""));
    folder.run(&["rerun", "control.png"]).exits(3).says(&["ControlNet 0", "not in it"]);
    foreign(&folder, "lora.png", &format!("x\n{line}mini, Clip skip: 2, Lora hashes: \"style: 12\""));
    folder.run(&["rerun", "lora.png"]).exits(2).says(&["Clip skip: 2", "--clip-skip"]);
    foreign(&folder, "none.png", "just a prompt");
    folder.run(&["rerun", "none.png"]).exits(3).says(&["none.png", "Steps"]);
    assert!(!folder.names().contains(&"output.png".to_owned()));
}
