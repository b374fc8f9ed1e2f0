//! What is asked of a sound file: names, shapes, types, values, and nothing left over.

mod crafted;

use crafted::{file, sound};
use half::{bf16, f16};
use syncline_loader::{Dtype, ErrorCode, LoadError, Weights};

fn tensor(name: &str, dtype: &str, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[0,{}]}}}}"#, data.len());
    file(&header, data)
}

#[test]
fn tensors_are_taken_by_name_and_shape() {
    let weights = Weights::from_bytes("x", sound()).unwrap();
    let scope = weights.scope();
    assert_eq!(scope.at("conv").take("weight", &[2, 2, 2]).unwrap().to_f32()[7], 3.5);
    assert_eq!(scope.at("norm").take("bias", &[4]).unwrap().to_f32(), [0.0, 1.0, 2.0, 3.0]);
    assert!(scope.at("norm").take_optional("gamma", &[4]).unwrap().is_none());
    let left = weights.finish(&[]).unwrap_err();
    assert!(left.to_string().contains("2 not used: norm.weight, position_ids"), "{left}");
    assert_eq!(scope.clone().at("norm").take("weight", &[4]).unwrap().to_f32(), [1.0, 2.0, 3.0, 4.0]);
    weights.finish(&[("position_ids", "a constant")]).unwrap();
    assert_eq!(weights.get("position_ids").unwrap().unwrap().to_i64(), [0, 1, 2, 3, 4]);
}

#[test]
fn what_is_missing_or_misshaped_is_named() {
    let weights = Weights::from_bytes("x.safetensors", sound()).unwrap();
    let missing = weights.scope().at("norm").take("gamma", &[4]).unwrap_err();
    assert!(matches!(missing, LoadError::MissingTensor(_)));
    let text = missing.to_string();
    for part in ["x.safetensors", "norm.gamma", "norm.bias", "[4]", "syncline inspect"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let misshaped = weights.scope().take("conv.weight", &[2, 4]).unwrap_err();
    assert!(matches!(misshaped, LoadError::WrongShape(_)));
    assert!(misshaped.to_string().contains("[2, 2, 2]") && misshaped.to_string().contains("[2, 4]"), "{misshaped}");
    let kind = weights.scope().take("position_ids", &[1, 5]).unwrap_err();
    assert!(matches!(kind, LoadError::WrongDtype(_)));
    for error in [missing, misshaped, kind] {
        assert_eq!(error.code(), ErrorCode::ModelMismatch);
    }
    // Even a caller that passed over the errors is told at the end.
    let end = weights.finish(&[("conv", "-"), ("norm", "-"), ("position_ids", "-")]).unwrap_err().to_string();
    assert!(end.contains("1 missing: norm.gamma") && end.contains("1 misshaped: conv.weight"), "{end}");
}

#[test]
fn long_lists_are_cut_at_ten() {
    let entries: Vec<String> =
        (0..25).map(|i| format!(r#""t{i:02}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1)).collect();
    let weights = Weights::from_bytes("x", file(&format!("{{{}}}", entries.join(",")), &[0; 25])).unwrap();
    let text = weights.finish(&[]).unwrap_err().to_string();
    assert!(text.contains("25 not used: t00") && text.contains("t09, and 15 more") && !text.contains("t10"), "{text}");
    let expected: Vec<_> = (20..40).map(|i| (format!("t{i}"), vec![1])).collect();
    let text = weights.compare(&expected, &[]).unwrap_err().to_string();
    assert!(text.contains("15 missing: t25") && text.contains("20 not used: t00"), "{text}");
    assert!(text.lines().count() <= 6);
}

#[test]
fn nan_and_infinity_are_refused_by_bit_pattern() {
    let f32s = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let f16s = |v: &[f32]| v.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
    let bf16s = |v: &[f32]| v.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>();
    let f64s = |v: &[f32]| v.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect::<Vec<u8>>();
    for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let values = [1.0, bad, 2.0, bad];
        for (dtype, data) in
            [("F32", f32s(&values)), ("F16", f16s(&values)), ("BF16", bf16s(&values)), ("F64", f64s(&values))]
        {
            let bytes = tensor("unet.w", dtype, &[4], &data);
            let error = Weights::from_bytes("x", bytes.clone()).unwrap().scope().take("unet.w", &[4]).unwrap_err();
            assert!(matches!(error, LoadError::NonFinite(_)));
            let text = error.to_string();
            assert!(text.contains("unet.w") && text.contains("2 NaN or infinite of 4, the first at index 1"), "{text}");
            let allowed = Weights::from_bytes("x", bytes).unwrap().allow_nonfinite(true);
            assert_eq!(allowed.scope().take("unet.w", &[4]).unwrap().len(), 4);
        }
    }
    let largest = tensor("w", "F32", &[2], &f32s(&[f32::MAX, f32::MIN_POSITIVE / 2.0]));
    assert!(Weights::from_bytes("x", largest).unwrap().scope().take("w", &[2]).is_ok());
}

#[test]
fn quantised_weights_are_refused_by_type() {
    for dtype in ["I8", "U8", "F8_E4M3", "F8_E5M2", "BOOL"] {
        let weights = Weights::from_bytes("x", tensor("w", dtype, &[2], &[0, 0])).unwrap();
        let error = weights.scope().take("w", &[2]).unwrap_err();
        assert!(matches!(error, LoadError::WrongDtype(_)) && error.to_string().contains(dtype), "{error}");
    }
}

#[test]
fn older_and_newer_names_are_the_same_tensor() {
    let data = [0u8; 16];
    for name in ["decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"] {
        for shape in [vec![2, 2], vec![2, 2, 1, 1]] {
            let weights = Weights::from_bytes("vae", tensor(name, "F32", &shape, &data)).unwrap();
            let attention = weights.scope().at("decoder").at("mid_block").at("attentions").at(0);
            assert!(attention.has("to_q.weight"));
            assert_eq!(attention.take("to_q.weight", &[2, 2]).unwrap().shape, [2, 2]);
            weights.finish(&[]).unwrap();
        }
    }
    for name in ["text_model.encoder.layers.0.mlp.fc1.weight", "encoder.layers.0.mlp.fc1.weight"] {
        let weights = Weights::from_bytes("text", tensor(name, "F32", &[2, 2], &data)).unwrap();
        weights.scope().at("text_model").take("encoder.layers.0.mlp.fc1.weight", &[2, 2]).unwrap();
        weights.finish(&[]).unwrap();
    }
    // A UNet's projection saved as a convolution is another layer, not another spelling.
    let weights = Weights::from_bytes("unet", tensor("proj_in.weight", "F32", &[2, 2, 1, 1], &data)).unwrap();
    assert!(weights.scope().take("proj_in.weight", &[2, 2]).is_err());
}

#[test]
fn position_ids_need_no_reason() {
    let data: Vec<u8> = (0..5i64).flat_map(i64::to_le_bytes).collect();
    let weights =
        Weights::from_bytes("x", tensor("text_model.embeddings.position_ids", "I64", &[1, 5], &data)).unwrap();
    weights.finish(&[]).unwrap();
}

#[test]
fn an_empty_pattern_ignores_nothing() {
    let weights = Weights::from_bytes("x", tensor("w", "F32", &[1], &[0; 4])).unwrap();
    assert!(weights.finish(&[("", "everything")]).is_err());
}

#[test]
fn generated_weights_record_what_was_asked() {
    let weights = Weights::generated(7, "text_encoder", Dtype::BF16);
    let flat = weights.scope().take("final_layer_norm.weight", &[8]).unwrap();
    let published = weights.scope().at("text_model").take("final_layer_norm.weight", &[8]).unwrap();
    assert_eq!((flat.dtype, flat.bytes()), (Dtype::BF16, published.bytes()));
    assert!(!weights.scope().has("final_layer_norm.weight"));
    assert_eq!(weights.requests().len(), 2);
    weights.finish(&[]).unwrap();
}

#[test]
fn a_file_that_changes_its_length_is_noticed_before_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    for shorter in [true, false] {
        let path = directory.path().join("model.safetensors");
        std::fs::write(&path, sound()).unwrap();
        let weights = Weights::open(&path).unwrap();
        let length = sound().len() as u64;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(if shorter { length - 40 } else { length + 40 }).unwrap();
        let error = weights.scope().take("conv.weight", &[2, 2, 2]).unwrap_err();
        assert!(matches!(error, LoadError::Changed(_)), "{error}");
    }
}

#[test]
fn weights_are_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<Weights>();
    check::<syncline_loader::Scope>();
    check::<syncline_loader::HostTensor>();
    check::<syncline_loader::Tokenizer>();
}
