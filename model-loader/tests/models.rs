//! Whole models: the built-in one and reference directories.

use syncline_loader::{Dtype, ModelSource};

#[test]
fn the_built_in_model_is_whole() {
    let mini = ModelSource::mini().unwrap();
    assert_eq!(mini.components(), ["scheduler", "text_encoder", "tokenizer", "unet", "vae"]);
    let unet = mini.unet_config().unwrap();
    assert_eq!(unet.block_out_channels.len(), 4);
    assert_eq!(mini.vae_config().unwrap().downscale(), 8);
    assert_eq!(mini.clip_text_config("text_encoder").unwrap().vocab_size, 1069);
    assert_eq!(mini.scheduler_config().unwrap().prediction_type, "epsilon");
    let tokenizer = mini.tokenizer("tokenizer").unwrap();
    let (ids, cut) = tokenizer.encode_padded("a day");
    assert_eq!((ids.len(), ids[0], ids[76], cut), (77, 1067, 0, 0));
    for component in ["unet", "vae", "text_encoder"] {
        let weights = mini.weights(component).unwrap();
        for info in weights.infos().map(|i| (i.name.to_owned(), i.shape.to_vec())).collect::<Vec<_>>() {
            let tensor = weights.scope().take(&info.0, &info.1).unwrap();
            assert_eq!(tensor.dtype, Dtype::F16);
        }
        weights.finish(&[]).unwrap();
    }
}
