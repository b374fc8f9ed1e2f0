//! Pieces of pages that need nothing but themselves.

use super::error::OutputError;
use super::format::Format;
use super::picture::Picture;
use super::png::Embedded;

/// Most pixels of a picture that a page holds without loss; PNG files of larger ones would make it heavy.
const LOSSLESS_PIXELS: usize = 1 << 21;

/// Text for an element or a double-quoted attribute.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No page may hold these, not even as references.
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// The picture as an address: PNG up to two million pixels, JPEG beyond.
///
/// # Errors
/// [`OutputError::NonFinite`].
pub fn data_uri(picture: &Picture) -> Result<String, OutputError> {
    let [height, width] = picture.raster.size;
    let (format, mime) =
        if height * width <= LOSSLESS_PIXELS { (Format::Png, "image/png") } else { (Format::Jpeg, "image/jpeg") };
    let bytes = format.encode(picture, &Embedded::default())?;
    Ok(format!("data:{mime};base64,{}", base64(&bytes)))
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = [0, 1, 2].map(|i| u32::from(chunk.get(i).copied().unwrap_or(0)));
        let bits = word[0] << 16 | word[1] << 8 | word[2];
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_examples() {
        let examples =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (text, expected) in examples {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xFF, 0xEF, 0xBE]), "/+++");
    }

    #[test]
    fn no_text_becomes_markup() {
        let text = "</script><img src=x onerror=\"alert('1')\"> & \u{0}\u{1b}[2J";
        let safe = escaped(text);
        assert!(!safe.contains(['<', '>', '"', '\'', '\u{0}', '\u{1b}']), "{safe}");
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
    }
}
