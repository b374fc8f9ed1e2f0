use super::*;

#[test]
fn every_width_converts_from_a_misaligned_start() {
    let mut bytes = vec![0xffu8];
    bytes.extend(1.5f32.to_le_bytes());
    bytes.extend((-2.0f32).to_le_bytes());
    let t = HostTensor::view(Dtype::F32, vec![2], bytes.into(), 1..9);
    assert_eq!(t.to_f32(), [1.5, -2.0]);
    let halves: Vec<u8> = (0..3000).flat_map(|i| f16::from_f32(i as f32).to_le_bytes()).collect();
    let t = HostTensor::from_bytes(Dtype::F16, [3000], halves);
    assert!(t.to_f32().iter().enumerate().all(|(i, v)| *v == f16::from_f32(i as f32).to_f32()));
    let t = HostTensor::from_bytes(Dtype::BF16, [1], bf16::from_f32(3.0).to_le_bytes().to_vec());
    assert_eq!(t.to_f32(), [3.0]);
    let t = HostTensor::from_bytes(Dtype::I64, [2], [7i64, -9].iter().flat_map(|v| v.to_le_bytes()).collect());
    assert_eq!((t.to_i64(), t.to_f32()), (vec![7, -9], vec![7.0, -9.0]));
}

#[test]
fn nonfinite_is_found_by_bits_in_every_float_type() {
    for v in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN] {
        let mut values = vec![1.0; 5000];
        values[4999] = v;
        values[4500] = v;
        let t = HostTensor::from_f32([5000], &values);
        assert_eq!(t.nonfinite(), (2, Some(4500)));
        let bytes = values.iter().flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(HostTensor::from_bytes(Dtype::BF16, [5000], bytes).nonfinite(), (2, Some(4500)));
        let bytes = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        assert_eq!(HostTensor::from_bytes(Dtype::F16, [5000], bytes).nonfinite(), (2, Some(4500)));
        let bytes = values.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect();
        assert_eq!(HostTensor::from_bytes(Dtype::F64, [5000], bytes).nonfinite(), (2, Some(4500)));
    }
    assert_eq!(HostTensor::from_f32([2], &[f32::MAX, -0.0]).nonfinite(), (0, None));
}

#[test]
fn f16_overflow_is_told() {
    assert!(HostTensor::from_f32([1], &[65504.0]).to_f16().is_some());
    assert!(HostTensor::from_f32([1], &[70000.0]).to_f16().is_none());
}

#[test]
fn eight_bit_floats() {
    let values = [0x00, 0x01, 0x08, 0x38, 0x7e, 0xb8];
    let t = HostTensor::from_bytes(Dtype::F8E4M3, [6], values.to_vec());
    assert_eq!(t.to_f32(), [0.0, 1.0 / 512.0, 1.0 / 64.0, 1.0, 448.0, -1.0]);
    let t = HostTensor::from_bytes(Dtype::F8E5M2, [3], vec![0x3c, 0x7b, 0x7c]);
    assert_eq!(t.to_f32(), [1.0, 57344.0, f32::INFINITY]);
}
