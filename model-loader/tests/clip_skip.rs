//! Leaving out the last layers of a text encoder.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;

use keys::{diffusers, list, write};
use syncline_loader::ModelSource;

#[test]
fn layers_at_the_end_are_left_out_and_the_norm_stays() {
    let root = tempfile::tempdir().unwrap();
    let (unet, text) = (root.path().join("unet-512.safetensors"), root.path().join("text.safetensors"));
    write(&unet, &diffusers(&list("unet-ip2p")));
    let keys = list("text_encoder-sd1");
    write(&text, &diffusers(&keys));
    let plain = ModelSource::open(&unet).unwrap().with_component("text_encoder", &text).unwrap();
    for clip_skip in [1, 2, 5, 12] {
        let model = plain.clone().with_clip_skip(clip_skip).unwrap();
        let layers = model.clip_text_config("text_encoder").unwrap().num_hidden_layers;
        assert_eq!(layers, 13 - clip_skip);
        let weights = model.weights("text_encoder").unwrap();
        let layer =
            |name: &str| name.split("encoder.layers.").nth(1).map(|rest| rest.split('.').next().unwrap().parse());
        let kept = keys.iter().filter(|key| layer(&key.name).is_none_or(|n: Result<usize, _>| n.unwrap() < layers));
        for key in kept {
            weights.scope().take(&key.name, &keys::small(&key.name, &key.shape)).unwrap();
        }
        weights.finish(&[]).unwrap();
    }
    for wrong in [0, 13, usize::MAX] {
        let text = plain.clone().with_clip_skip(wrong).unwrap_err().to_string();
        assert!(text.contains("1 to 12") && text.contains("--clip-skip 1"), "{text}");
    }
}
