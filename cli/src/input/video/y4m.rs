//! YUV4MPEG2: a line of text, then frames with a line each. Source: the mjpegtools manual page yuv4mpeg(5).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use super::{MOST, Matrix, StreamHead, Yuv};

/// How a stream begins.
pub const MAGIC: &[u8] = b"YUV4MPEG2 ";
/// Longest line.
const MOST_LINE: u64 = 4096;
/// Longest side.
const MOST_SIDE: usize = 16384;
/// Rows from which a stream that does not say its matrix is taken as high definition.
const HIGH_DEFINITION: usize = 720;

/// The head, and where each frame's bytes begin, and what stands before them.
pub fn index(
    file: &mut File,
    length: u64,
    matrix: Option<Matrix>,
) -> Result<(StreamHead, Vec<u64>, Vec<String>), String> {
    file.seek(SeekFrom::Start(0)).map_err(|e| e.to_string())?;
    let mut reader = BufReader::new(file);
    let mut at = 0;
    let first = line(&mut reader, &mut at)?.ok_or("the first line has no end")?;
    let yuv = head(&first, matrix)?;
    let bytes = yuv.bytes() as u64;
    let (mut offsets, mut lines) = (Vec::new(), Vec::new());
    while at < length {
        let frame = offsets.len();
        let begin = at;
        let found = line(&mut reader, &mut at)?.filter(|found| found.split(' ').next() == Some("FRAME"));
        let Some(found) = found else {
            return Err(format!("byte {begin}: expected FRAME before frame {frame}; the stream is damaged"));
        };
        if length - at < bytes {
            return Err(format!(
                "the stream ends in frame {frame}: found {} of its {bytes} bytes; was its writer stopped?",
                length - at
            ));
        }
        offsets.push(at);
        lines.push(found);
        if offsets.len() > MOST {
            break;
        }
        let skip = i64::try_from(bytes).map_err(|e| e.to_string())?;
        reader.seek_relative(skip).map_err(|e| e.to_string())?;
        at += bytes;
    }
    if offsets.is_empty() {
        return Err("the stream has no frame; was its writer stopped?".to_owned());
    }
    Ok((StreamHead::Y4m(first, yuv), offsets, lines))
}

/// A line without its end; `None` where the stream or the patience ends first.
fn line(reader: &mut impl BufRead, at: &mut u64) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let begin = *at;
    *at += reader.take(MOST_LINE).read_until(b'\n', &mut bytes).map_err(|e| e.to_string())? as u64;
    if bytes.pop() != Some(b'\n') {
        return Ok(None);
    }
    String::from_utf8(bytes).map(Some).map_err(|_| format!("byte {begin}: the line is no text; the stream is damaged"))
}

fn head(first: &str, matrix: Option<Matrix>) -> Result<Yuv, String> {
    let (mut width, mut height, mut colour, mut full_range) = (0, 0, "420jpeg", false);
    for word in first.split(' ').skip(1) {
        let Some(kind) = word.chars().next() else { continue };
        let value = &word[kind.len_utf8()..];
        let side = || value.parse().ok().filter(|n| (1..=MOST_SIDE).contains(n));
        match kind {
            'W' => width = side().ok_or_else(|| bad("width", value))?,
            'H' => height = side().ok_or_else(|| bad("height", value))?,
            'C' => colour = value,
            'I' if !matches!(value, "p" | "?") => {
                return Err(format!(
                    "found interlaced frames (I{value}); make them progressive, with ffmpeg -vf yadif"
                ));
            }
            'X' if value == "COLORRANGE=FULL" => full_range = true,
            _ => {}
        }
    }
    if width == 0 || height == 0 {
        return Err("the first line says no width or no height; the stream is damaged".to_owned());
    }
    let halved = match colour {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => true,
        "444" => false,
        other => {
            return Err(format!(
                "found colours C{other}, expected C420, C420jpeg, C420mpeg2, C420paldv or C444 with 8 bits; convert with ffmpeg \
                 -pix_fmt yuv420p"
            ));
        }
    };
    let usual = if height >= HIGH_DEFINITION { Matrix::Bt709 } else { Matrix::Bt601 };
    Ok(Yuv { size: [height, width], halved, full_range, matrix: matrix.unwrap_or(usual) })
}

fn bad(what: &str, value: &str) -> String {
    let value = syncline_loader::escaped(value, 40);
    format!("{what}: found '{value}', expected 1 to {MOST_SIDE}; the stream is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_size_colours_and_range() {
        let yuv = head("YUV4MPEG2 W1280 H720 F30000:1001 Ip A1:1 C444 XCOLORRANGE=FULL", None).unwrap();
        assert_eq!(yuv, Yuv { size: [720, 1280], halved: false, full_range: true, matrix: Matrix::Bt709 });
        let small = head("YUV4MPEG2 H4 W6", None).unwrap();
        assert_eq!(small, Yuv { size: [4, 6], halved: true, full_range: false, matrix: Matrix::Bt601 });
        assert_eq!(head("YUV4MPEG2 H4 W6", Some(Matrix::Bt709)).unwrap().matrix, Matrix::Bt709);
    }

    #[test]
    fn other_streams_are_refused() {
        for (line, part) in [
            ("YUV4MPEG2 W4", "no width or no height"),
            ("YUV4MPEG2 W0 H4", "width: found '0', expected 1 to 16384"),
            ("YUV4MPEG2 W99999999999999999999 H4", "width: found '99999999999999999999'"),
            ("YUV4MPEG2 W4 H4 It", "interlaced frames (It)"),
            ("YUV4MPEG2 W4 H4 C420p10", "found colours C420p10"),
            ("YUV4MPEG2 W4 H4 C422", "found colours C422"),
            ("YUV4MPEG2 W4 Hä", "height: found"),
        ] {
            let refused = head(line, None).unwrap_err();
            assert!(refused.contains(part), "{line}: {refused}");
        }
    }
}
