//! Textual inversion: its files, and what it does to tokenizer, configuration and token table.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use std::path::{Path, PathBuf};

use keys::{Tensors, diffusers, list, values, write};
use syncline_loader::{Embedding, Family, LoadError, ModelSource};

fn tensors(rows: &[(&str, &[usize])]) -> Tensors {
    let tensor =
        |(name, shape): &(&str, &[usize])| ((*name).to_owned(), (shape.to_vec(), values(name, shape.iter().product())));
    rows.iter().map(tensor).collect()
}

fn file(root: &Path, name: &str, rows: &[(&str, &[usize])]) -> PathBuf {
    let path = root.join(name);
    write(&path, &tensors(rows));
    path
}

fn refused(error: &LoadError, code: u8, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.code().exit_code(), code, "{text}");
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
    assert!(text.lines().count() <= 6 && text.matches("next:").count() == 1, "{text}");
}

/// A model with the names of SD-2.1, whose text encoder is whole in width and vocabulary.
fn model(root: &Path) -> ModelSource {
    let (unet, text) = (root.join("unet-512.safetensors"), root.join("text.safetensors"));
    write(&unet, &diffusers(&list("unet-sd21")));
    let mut tensors = diffusers(&list("text_encoder-sd21"));
    let table = "text_model.embeddings.token_embedding.weight";
    tensors.insert(table.into(), (vec![49408, 1024], values(table, 49408 * 1024)));
    write(&text, &tensors);
    ModelSource::open(&unet).unwrap().with_component("text_encoder", &text).unwrap()
}

#[test]
fn every_form_of_file_is_known() {
    let root = tempfile::tempdir().unwrap();
    let open = |name: &str, rows: &[(&str, &[usize])]| Embedding::open(&file(root.path(), name, rows)).unwrap();
    let a1111 = open("bad-hands.safetensors", &[("emb_params", &[4, 768])]);
    assert_eq!((a1111.word(), a1111.count(), a1111.family()), ("bad-hands", 4, Some(Family::Sd1)));
    let diffusers = open("learned_embeds.safetensors", &[("<cat-toy>", &[1024])]);
    assert_eq!((diffusers.word(), diffusers.count(), diffusers.family()), ("<cat-toy>", 1, Some(Family::Sd2)));
    let sdxl = open("style.safetensors", &[("clip_l", &[8, 768]), ("clip_g", &[8, 1280])]);
    assert_eq!((sdxl.word(), sdxl.count(), sdxl.family()), ("style", 8, Some(Family::Sdxl)));
    assert_eq!(sdxl.with_word("other").word(), "other");
}

#[test]
fn what_is_none_is_named() {
    let root = tempfile::tempdir().unwrap();
    let open = |rows: &[(&str, &[usize])]| Embedding::open(&file(root.path(), "x.safetensors", rows)).unwrap_err();
    refused(
        &open(&[("lora_unet_x.lora_down.weight", &[4, 8]), ("b", &[2])]),
        4,
        &["not a textual-inversion", "a LoRA", "--lora"],
    );
    refused(&open(&[("emb_params", &[76, 768])]), 4, &["up to 75 vectors"]);
    refused(&open(&[("emb_params", &[2, 2, 768])]), 4, &["no embedding"]);
    refused(&open(&[("clip_l", &[8, 768]), ("clip_g", &[7, 1280])]), 4, &["different numbers", "8", "7"]);
    let path = root.path().join("bad-hands.pt");
    for pickle in [&b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl"[..], b"\x80\x02}q\x00(X\x0f\x00string_to_token"] {
        std::fs::write(&path, pickle).unwrap();
        refused(&Embedding::open(&path).unwrap_err(), 3, &["pickle, which can run code", "get the .safetensors file"]);
    }
}

#[test]
fn its_word_becomes_tokens_with_its_vectors() {
    let root = tempfile::tempdir().unwrap();
    let hands = Embedding::open(&file(root.path(), "bad-hands.safetensors", &[("emb_params", &[3, 1024])])).unwrap();
    let toy = Embedding::open(&file(root.path(), "toy.safetensors", &[("<cat-toy>", &[1024])])).unwrap();
    let plain = model(root.path());
    let model = plain.clone().with_embedding(&hands).unwrap().with_embedding(&toy).unwrap();
    // Ids behind the vocabulary, in the order of the embeddings.
    let (before, after) = (plain.tokenizer("tokenizer").unwrap(), model.tokenizer("tokenizer").unwrap());
    let a_photo_of = before.encode("a photo of");
    let with = |tail: &[u32]| [&a_photo_of[..], tail].concat();
    assert_eq!(after.encode("a photo of Bad-Hands"), with(&[49408, 49409, 49410]));
    assert_eq!(after.encode("a photo of <cat-toy>"), with(&[49411]));
    let comma = before.encode(",")[0];
    assert_eq!(after.encode("a photo of bad-hands,<cat-toy>"), with(&[49408, 49409, 49410, comma, 49411]));
    for other in ["a photo of bad-handsome men", "a photo of not-bad-hands", "two bad hands", "bad-hand"] {
        assert_eq!(after.encode(other), before.encode(other), "{other}");
    }
    let (ids, cut) = after.encode_padded("<cat-toy>");
    assert_eq!((&ids[..3], ids.len(), cut), (&[49406, 49411, 49407][..], 77, 0));
    // The table grows by four rows; all others stay.
    let config = model.clip_text_config("text_encoder").unwrap();
    assert_eq!((config.vocab_size, config.added_tokens), (49412, 4));
    let name = "text_model.embeddings.token_embedding.weight";
    let take =
        |model: &ModelSource, rows| model.weights("text_encoder").unwrap().scope().take(name, &[rows, 1024]).unwrap();
    let (old, new) = (take(&plain, 49408).to_f32(), take(&model, 49412).to_f32());
    assert!(new[..old.len()] == old[..]);
    let vectors = |name: &str, count: usize| -> Vec<f32> {
        values(name, count).chunks(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
    };
    let added = [vectors("emb_params", 3 * 1024), vectors("<cat-toy>", 1024)].concat();
    assert!(new[old.len()..] == added[..]);
    // The end of the text is still the end token, where old files mean "the largest id".
    let mut config = config;
    config.eos_token_id = Some(2);
    assert_eq!(config.pooled_position(&[49406, 49411, 320, 49407, 0, 0]), 3);
}

#[test]
fn another_family_or_the_same_word_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let model = model(root.path());
    let sd1 = Embedding::open(&file(root.path(), "a.safetensors", &[("emb_params", &[1, 768])])).unwrap();
    refused(&model.clone().with_embedding(&sd1).unwrap_err(), 4, &["width 768 (SD-1.x)", "width 1024 (SD-2.x)"]);
    let sd2 = Embedding::open(&file(root.path(), "b.safetensors", &[("emb_params", &[1, 1024])])).unwrap();
    let once = model.with_embedding(&sd2).unwrap();
    refused(&once.with_embedding(&sd2.with_word("B")).unwrap_err(), 4, &["the same word"]);
}
