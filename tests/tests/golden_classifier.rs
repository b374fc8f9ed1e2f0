//! The classifier of the mini world and its coordinates of true views, against PyTorch on three generated pictures.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::path::Path;

use safetensors::SafeTensors;
use syncline::metrics::mini::{COORDINATES, Classifier, FEATURES, TrueViews, VIEW_SIDE};

fn open(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/mini").join(name)).unwrap()
}

fn f32s(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    file.tensor(name).unwrap().data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The three pictures `[3, 3, 128, 128]` as RGB rows in 0..=1.
fn pictures() -> Vec<Vec<f32>> {
    let bytes = open("mini.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let data = file.tensor("image.u8").unwrap().data().to_vec();
    let plane = VIEW_SIDE * VIEW_SIDE;
    let picture =
        |p: &[u8]| -> Vec<f32> { (0..3 * plane).map(|i| f32::from(p[i % 3 * plane + i / 3]) / 255.0).collect() };
    data.chunks(3 * plane).map(picture).collect()
}

/// Largest |difference| over the root mean square of what is expected.
fn error(found: &[f64], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let rms = (expected.iter().map(|v| f64::from(v * v)).sum::<f64>() / expected.len() as f64).sqrt();
    found.iter().zip(expected).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max) / rms
}

#[test]
fn the_classifier_sees_what_pytorch_sees() {
    let bytes = open("classifier.safetensors");
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let (features, logits, coordinates) =
        (f32s(&golden, "features"), f32s(&golden, "logits"), f32s(&golden, "coordinates"));
    let (classifier, truth) = (Classifier::mini().unwrap(), TrueViews::mini().unwrap());
    let pictures = pictures();
    assert_eq!(pictures.len(), 3);
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    for (i, picture) in pictures.iter().enumerate() {
        let seen = classifier.see(picture);
        let found = [
            error(&wide(&seen.features), &features[i * FEATURES..][..FEATURES]),
            error(&wide(&seen.logits.concat()), &logits[i * 17..][..17]),
            error(&truth.project(&seen.features), &coordinates[i * COORDINATES..][..COORDINATES]),
        ];
        println!("{i}: features {:.1e}, logits {:.1e}, coordinates {:.1e}", found[0], found[1], found[2]);
        // f32 sums of up to 576 products four times over, in another order.
        assert!(found.iter().all(|e| *e < 1e-5), "{found:?}");
    }
    // "a sunset over desert dunes …", "green meadow at noon …", "night snow under aurora, a city skyline"
    let classes: Vec<[usize; 4]> = pictures.iter().map(|p| classifier.see(p).classes()).collect();
    assert_eq!(classes.iter().map(|c| [c[0], c[1]]).collect::<Vec<_>>(), [[2, 1], [1, 2], [3, 3]]);
}
