//! LoRAs merged at load: against the definition, together, and in every trainer's names.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

mod keys;
mod products;
mod rng;

use keys::{diffusers, list, write};
use products::{Tensor, base, everywhere, kohya, layers, lora, save, take};
use rng::Rng;
use safetensors::tensor::Dtype;
use syncline_loader::{Lora, ModelSource};

/// The product by its definition, element for element: `Σ_p up[o, p] · down[p, i…]`, or with a kernel between.
fn product(down: &Tensor, up: &Tensor, mid: Option<&Tensor>, out: usize) -> Vec<f64> {
    let rank = down.0[0];
    let wide = |t: &Tensor, i: usize| f64::from(t.2[i]);
    let Some(mid) = mid else {
        let inner = down.2.len() / rank;
        let cell =
            |i: usize| (0..rank).map(|p| wide(up, i / inner * rank + p) * wide(down, p * inner + i % inner)).sum();
        return (0..out * inner).map(cell).collect();
    };
    let (inputs, kernel) = (down.0[1], mid.0[2] * mid.0[3]);
    let mut sums = vec![0.0; out * inputs * kernel];
    for o in 0..out {
        for i in 0..inputs {
            for k in 0..kernel {
                for p in 0..rank {
                    for q in 0..rank {
                        sums[(o * inputs + i) * kernel + k] += wide(up, o * rank + p)
                            * wide(mid, (p * rank + q) * kernel + k)
                            * wide(down, q * inputs + i);
                    }
                }
            }
        }
    }
    sums
}

/// Spacing of f32 (24 bits) or f16 (11 bits) around a value.
fn ulp(value: f64, bits: i32, smallest: i32) -> f64 {
    let exponent = if value == 0.0 { smallest } else { (value.abs().log2().floor() as i32).max(smallest) };
    2f64.powi(exponent - bits + 1)
}

#[test]
fn merging_is_w_plus_the_scaled_products_to_one_ulp() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let mut rng = Rng(7);
    let (mut checked, mut worst) = (0, [0.0f64; 2]);
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16] {
        let weights = base(&unet, &mut rng, dtype);
        for (rank, alpha, weight) in [(1, None, 1.0), (4, Some(2.0), 0.8), (8, Some(8.0), -0.5), (13, Some(1.0), 1.7)] {
            let tensors = lora(&mut rng, rank, dtype, alpha);
            save(&path, &tensors);
            let added = ModelSource::open(&unet).unwrap().with_lora(&Lora::open(&path).unwrap(), weight).unwrap();
            for (name, shape, ..) in layers(rank) {
                let part = |end: &str| tensors.get(&format!("lora_unet_{}.lora_{end}.weight", name.replace('.', "_")));
                let product = product(part("down").unwrap(), part("up").unwrap(), part("mid"), shape[0]);
                let scale = weight * alpha.map_or(1.0, |alpha| f64::from(alpha) / rank as f64);
                let merged = take(&added, &format!("{name}.weight"), &shape);
                let halves = merged.to_f16().unwrap();
                let w = &weights[&format!("{name}.weight")].2;
                for (i, value) in merged.to_f32().into_iter().enumerate() {
                    let exact = f64::from(w[i]) + scale * product[i];
                    let off = (f64::from(value) - exact).abs() / ulp(exact, 24, -126);
                    let half = (f64::from(halves[i].to_f32()) - exact).abs() / ulp(exact, 11, -14);
                    worst = [worst[0].max(off), worst[1].max(half)];
                    assert!(off <= 1.0 && half <= 1.0, "{name} {i}: {value} for {exact}");
                    checked += 1;
                }
            }
        }
    }
    println!("{checked} values, worst {worst:?} ulp in f32 and f16 storage");
    assert!(checked > 30_000 && worst[0] > 0.3, "{checked} values");
}

#[test]
fn loras_add_up_and_commute_to_the_bit() {
    let root = tempfile::tempdir().unwrap();
    let unet = root.path().join("unet-512.safetensors");
    let mut rng = Rng(11);
    base(&unet, &mut rng, Dtype::F32);
    let open = |n: usize, rng: &mut Rng| {
        let path = root.path().join(format!("lora{n}.safetensors"));
        save(&path, &lora(rng, 3 + n, Dtype::F32, Some(1.5)));
        Lora::open(&path).unwrap()
    };
    let loras: Vec<(Lora, f64)> = (0..3).map(|n| (open(n, &mut rng), 0.3 + n as f64)).collect();
    let merged = |order: &[usize]| -> Vec<Vec<u8>> {
        let plain = ModelSource::open(&unet).unwrap();
        let model = order.iter().fold(plain, |model, n| model.with_lora(&loras[*n].0, loras[*n].1).unwrap());
        layers(1)
            .iter()
            .map(|(name, shape, ..)| take(&model, &format!("{name}.weight"), shape).bytes().to_vec())
            .collect()
    };
    for pair in [[0, 1], [1, 2], [0, 2]] {
        assert!(merged(&pair) == merged(&[pair[1], pair[0]]), "{pair:?}");
        assert!(merged(&pair) != merged(&pair[..1]));
    }
    let first = merged(&[0, 1, 2]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        assert!(merged(&order) == first, "{order:?}");
    }
    // With weight 0 nothing changes, to the bit.
    let plain = ModelSource::open(&unet).unwrap();
    let none = plain.clone().with_lora(&loras[0].0, 0.0).unwrap();
    for (name, shape, ..) in layers(1) {
        let name = format!("{name}.weight");
        assert!(take(&none, &name, &shape).bytes() == take(&plain, &name, &shape).bytes(), "{name}");
    }
    // Weights that cancel give the model back: what is left of ± the same f64 numbers is nothing.
    let both = plain.clone().with_lora(&loras[1].0, 0.7).unwrap().with_lora(&loras[1].0, -0.7).unwrap();
    let (name, shape, ..) = layers(1).swap_remove(0);
    let name = format!("{name}.weight");
    let pairs = take(&both, &name, &shape).to_f32().into_iter().zip(take(&plain, &name, &shape).to_f32());
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= f32::EPSILON * b.abs()));
}

/// Every module of the complete key lists is found in every spelling: none is left over, and all spellings give one model.
#[test]
fn every_module_of_every_family_is_found_in_every_spelling() {
    let root = tempfile::tempdir().unwrap();
    let (unet, path) = (root.path().join("unet-512.safetensors"), root.path().join("lora.safetensors"));
    let text = root.path().join("text.safetensors");
    type Spelling = (&'static str, fn(&str, &keys::Key) -> Option<String>);
    let spellings: [Spelling; 3] = [
        ("kohya", |component, key| {
            Some(kohya(&format!("lora_{}_", component.replace("text_encoder", "te")), &key.name))
        }),
        ("kohya with original names", |component, key| {
            let original = key.original.strip_prefix("model.diffusion_model.");
            Some(match original {
                Some(original) => kohya("lora_unet_", original),
                None => kohya(&format!("lora_{}_", component.replace("text_encoder", "te1")), &key.name),
            })
        }),
        ("PEFT", |component, key| {
            let stem = format!("{component}.{}", key.name.strip_suffix(".weight").unwrap());
            Some(format!("{stem}.lora_B.weight|{stem}.lora_A.weight"))
        }),
    ];
    for (unet_list, text_list) in
        [("unet-sd21", "text_encoder-sd21"), ("unet-ip2p", "text_encoder-sd1"), ("unet-sdxl", "text_encoder-sdxl")]
    {
        write(&unet, &diffusers(&list(unet_list)));
        write(&text, &diffusers(&list(text_list)));
        let model = ModelSource::open(&unet).unwrap().with_component("text_encoder", &text).unwrap();
        let lists = [("unet", unet_list), ("text_encoder", text_list)];
        for (spelling, name) in spellings {
            let tensors = everywhere(&lists, name);
            write(&path, &tensors);
            let lora = Lora::open(&path).unwrap();
            assert_eq!(lora.len(), tensors.len() / 2, "{spelling}");
            assert_eq!(lora.family(), model.family(), "{spelling} {unet_list}");
            let added = model.clone().with_lora(&lora, 1.0).unwrap();
            for (component, file) in lists {
                let weights = added.weights(component).unwrap();
                for key in list(file) {
                    let shape = keys::small(&key.name, &key.shape);
                    let merged = weights.scope().take(&key.name, &shape).unwrap();
                    assert_eq!(merged.shape, shape);
                }
                // Fails when a product was left over.
                weights.finish(&[]).unwrap();
            }
        }
    }
}
