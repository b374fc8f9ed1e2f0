//! KTX 2.0 cubemaps: RGBA, 8 bits, sRGB, a full chain of mip levels, no compression.
//! Source: <https://registry.khronos.org/KTX/specs/2.0/ktxspec.v2.html>, and for the data format descriptor
//! <https://registry.khronos.org/DataFormat/specs/1.3/dataformat.1.3.html>.

use super::png::Rgb8;

const IDENTIFIER: [u8; 12] = *b"\xABKTX 20\xBB\r\n\x1A\n";
/// `VK_FORMAT_R8G8B8A8_SRGB`.
const FORMAT: u32 = 43;
const HEADER_BYTES: usize = 80;
/// Offset, length and uncompressed length of a level.
const LEVEL_BYTES: usize = 24;

/// A file of six faces in the order +X −X +Y −Y +Z −Z. `levels[0]` holds the faces, each further one those of half the
/// side, down to one pixel.
///
/// # Panics
/// When sizes are not those of a full mip chain of squares.
#[must_use]
pub fn encode(levels: &[[Rgb8; 6]]) -> Vec<u8> {
    let side = levels[0][0].width;
    assert_eq!(levels.len() as u32, side.ilog2() + 1, "KTX2: mip levels of a side of {side}");
    for (level, faces) in levels.iter().enumerate() {
        let expected = side >> level;
        assert!(faces.iter().all(|f| (f.width, f.height) == (expected, expected)), "KTX2: level {level} of {side}");
    }
    let (descriptor, entries) = (descriptor(), key_values());
    let descriptor_at = HEADER_BYTES + LEVEL_BYTES * levels.len();
    let entries_at = descriptor_at + descriptor.len();
    // The smallest level comes first. A texel and the alignment the format asks for are both four bytes.
    let mut at = (entries_at + entries.len()).next_multiple_of(4);
    let mut offsets = vec![0; levels.len()];
    for (offset, faces) in offsets.iter_mut().zip(levels).rev() {
        *offset = at;
        at += bytes_of(faces);
    }
    let mut file = Vec::with_capacity(at);
    file.extend(IDENTIFIER);
    // Format, bytes of a type, width, height, depth, layers, faces, levels, compression.
    let words = [FORMAT, 1, side as u32, side as u32, 0, 0, 6, levels.len() as u32, 0];
    file.extend(words.iter().flat_map(|w| w.to_le_bytes()));
    let index = [descriptor_at, descriptor.len(), entries_at, entries.len()];
    file.extend(index.iter().flat_map(|w| (*w as u32).to_le_bytes()));
    // No global data of a compression.
    file.extend([0; 16]);
    for (offset, faces) in offsets.iter().zip(levels) {
        let bytes = bytes_of(faces) as u64;
        file.extend([*offset as u64, bytes, bytes].iter().flat_map(|w| w.to_le_bytes()));
    }
    file.extend(descriptor);
    file.extend(entries);
    file.resize(file.len().next_multiple_of(4), 0);
    for faces in levels.iter().rev() {
        for face in faces {
            file.extend(face.pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 255]));
        }
    }
    file
}

fn bytes_of(faces: &[Rgb8; 6]) -> usize {
    6 * 4 * faces[0].width * faces[0].height
}

/// The basic descriptor block of R8G8B8A8 sRGB.
fn descriptor() -> Vec<u8> {
    const RGBSDA: u8 = 1;
    const BT709: u8 = 1;
    const SRGB: u8 = 2;
    const STRAIGHT_ALPHA: u8 = 0;
    /// Alpha is never sRGB: its channel says linear.
    const ALPHA_LINEAR: u8 = 15 | 1 << 4;
    let block_bytes: u16 = 24 + 4 * 16;
    let mut bytes = (u32::from(block_bytes) + 4).to_le_bytes().to_vec();
    // Vendor Khronos and type basic; version 1.3.
    bytes.extend([0; 4]);
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(block_bytes.to_le_bytes());
    bytes.extend([RGBSDA, BT709, SRGB, STRAIGHT_ALPHA]);
    // A block of one texel; its four bytes lie in one plane.
    bytes.extend([0; 4]);
    bytes.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    for (channel, kind) in [0, 1, 2, ALPHA_LINEAR].into_iter().enumerate() {
        bytes.extend((8 * channel as u16).to_le_bytes());
        // Eight bits, written as one less; no sample position.
        bytes.extend([7, kind, 0, 0, 0, 0]);
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(255_u32.to_le_bytes());
    }
    bytes
}

/// Sorted by key, each padded to four bytes.
fn key_values() -> Vec<u8> {
    let writer = format!("syncline {}", env!("CARGO_PKG_VERSION"));
    let mut bytes = Vec::new();
    // Faces of a cubemap go right and down.
    for (key, value) in [("KTXorientation", "rd"), ("KTXwriter", &writer)] {
        let entry = format!("{key}\0{value}\0");
        bytes.extend((entry.len() as u32).to_le_bytes());
        bytes.extend(entry.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(side: usize, value: u8) -> Rgb8 {
        Rgb8 { width: side, height: side, pixels: vec![value; side * side * 3] }
    }

    #[test]
    fn another_reader_finds_every_face_and_level() {
        for side in [1, 2, 5, 16] {
            let count = usize::ilog2(side) as usize + 1;
            let value = |level: usize, face: usize| (10 * level + face) as u8;
            let levels: Vec<[Rgb8; 6]> =
                (0..count).map(|level| [0, 1, 2, 3, 4, 5].map(|f| face(side >> level, value(level, f)))).collect();
            let file = encode(&levels);
            let reader = ktx2::Reader::new(&file[..]).unwrap();
            let header = reader.header();
            assert_eq!((header.pixel_width, header.pixel_height, header.pixel_depth), (side as u32, side as u32, 0));
            assert_eq!((header.layer_count, header.face_count, header.level_count), (0, 6, count as u32));
            assert_eq!(header.format, Some(ktx2::Format::R8G8B8A8_SRGB));
            assert!(header.supercompression_scheme.is_none());
            assert_eq!(reader.levels().len(), count);
            for (level, data) in reader.levels().enumerate() {
                let pixels = (side >> level) * (side >> level);
                assert_eq!(data.data.len(), 6 * 4 * pixels);
                for (i, texel) in data.data.chunks_exact(4).enumerate() {
                    let v = value(level, i / pixels);
                    assert_eq!(texel, [v, v, v, 255], "level {level}, texel {i}");
                }
            }
            let keys: Vec<_> = reader.key_value_data().collect();
            assert_eq!(keys[0], ("KTXorientation", &b"rd\0"[..]));
            assert_eq!(keys[1].0, "KTXwriter");
            assert_eq!(reader.writer().map(|w| w.starts_with("syncline ")), Some(true));
        }
    }

    #[test]
    fn the_descriptor_says_srgb_with_linear_alpha() {
        let file = encode(&[[0; 6].map(|v| face(1, v))]);
        let reader = ktx2::Reader::new(&file[..]).unwrap();
        assert_eq!(reader.color_primaries(), Some(ktx2::ColorPrimaries::BT709));
        assert_eq!(reader.transfer_function(), Some(ktx2::TransferFunction::SRGB));
        assert_eq!(reader.color_model(), Some(ktx2::ColorModel::RGBSDA));
        assert_eq!(reader.is_alpha_premultiplied(), Some(false));
        let basic = reader.basic_dfd().unwrap();
        assert_eq!(basic.sample_information.len(), 4);
        let offsets: Vec<_> = basic.sample_information.iter().map(|s| s.bit_offset).collect();
        assert_eq!(offsets, [0, 8, 16, 24]);
        // Offset and length of the first level, straight out of the bytes.
        let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
        assert_eq!((word(80) + word(88)) as usize, file.len());
        assert_eq!(word(80) % 4, 0);
    }

    #[test]
    #[should_panic(expected = "mip levels")]
    fn a_chain_that_stops_early_is_a_mistake() {
        let _ = encode(&[[0; 6].map(|v| face(4, v))]);
    }
}
