//! COLMAP's models as little-endian binary. Counts in the files are believed only as far as the files reach.

use super::colmap::{Camera, Image, MODELS};

/// Longest name of an image.
const MOST_NAME: usize = 4096;

/// What is left of a file.
struct Cursor<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], String> {
        let left = &self.all[self.at..];
        if left.len() < count {
            return Err(format!(
                "byte {}: the file ends in {what}: found {} bytes, expected {count}; is it complete?",
                self.at,
                left.len()
            ));
        }
        self.at += count;
        Ok(&left[..count])
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N, what)?);
        Ok(bytes)
    }

    fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn finite(&mut self, what: &str) -> Result<f64, String> {
        let at = self.at;
        let value = f64::from_le_bytes(self.array(what)?);
        if value.is_finite() {
            Ok(value)
        } else {
            Err(format!("byte {at}: {what}: found {value}, expected a finite number"))
        }
    }

    /// A number of records of at least `least` bytes each.
    fn count(&mut self, least: usize, what: &str) -> Result<usize, String> {
        let at = self.at;
        let count = self.u64(what)?;
        let left = self.all.len() - self.at;
        match usize::try_from(count).ok().and_then(|count| count.checked_mul(least)) {
            Some(bytes) if bytes <= left => Ok(bytes / least),
            _ => Err(format!(
                "byte {at}: found {count} as the {what}, but only {left} bytes follow, at least {least} of them for each; is \
                 the file complete?"
            )),
        }
    }

    fn end(&self, what: &str) -> Result<(), String> {
        match self.all.len() - self.at {
            0 => Ok(()),
            more => Err(format!("byte {}: found {more} bytes after the last of the {what}", self.at)),
        }
    }
}

/// Each: number, model, width, height, parameters.
pub fn cameras(bytes: &[u8]) -> Result<Vec<Camera>, String> {
    let mut cursor = Cursor { all: bytes, at: 0 };
    let count = cursor.count(24, "number of cameras")?;
    let mut cameras = Vec::new();
    for _ in 0..count {
        let id = cursor.u32("a camera's number")?;
        let at = cursor.at;
        let model = cursor.u32("a camera's model")? as usize;
        let Some((_, parameters)) = MODELS.get(model) else {
            return Err(format!("byte {at}: found camera model {model}, expected 0 to {}", MODELS.len() - 1));
        };
        let (width, height) = (cursor.u64("a camera's width")?, cursor.u64("a camera's height")?);
        for _ in 0..*parameters {
            cursor.finite("a camera's parameters")?;
        }
        cameras.push(Camera { id, height, width });
    }
    cursor.end("cameras")?;
    Ok(cameras)
}

/// Each: number, rotation, translation, camera, name with a zero at its end, points.
pub fn images(bytes: &[u8]) -> Result<Vec<Image>, String> {
    let mut cursor = Cursor { all: bytes, at: 0 };
    let count = cursor.count(73, "number of images")?;
    let mut images = Vec::new();
    for _ in 0..count {
        let place = format!("byte {}", cursor.at);
        cursor.u32("an image's number")?;
        let mut length = 0.0;
        for _ in 0..4 {
            length += cursor.finite("an image's rotation")?.powi(2);
        }
        for _ in 0..3 {
            cursor.finite("an image's translation")?;
        }
        if length == 0.0 {
            return Err(format!("{place}: found a rotation of length 0, expected a unit quaternion"));
        }
        let camera = cursor.u32("an image's camera")?;
        let at = cursor.at;
        let left = &cursor.all[at..];
        let Some(end) = left.iter().take(MOST_NAME).position(|b| *b == 0) else {
            return Err(format!(
                "byte {at}: found no end of an image's name within {} bytes",
                left.len().min(MOST_NAME)
            ));
        };
        let name = std::str::from_utf8(cursor.take(end, "an image's name")?)
            .map_err(|_| format!("byte {at}: found an image's name that is no UTF-8"))?;
        cursor.take(1, "an image's name")?;
        let points = cursor.count(24, "number of an image's points")?;
        cursor.take(24 * points, "an image's points")?;
        images.push(Image { place, camera, name: name.to_owned() });
    }
    cursor.end("images")?;
    Ok(images)
}

/// Each: number, position, colour, error, track.
pub fn points(bytes: &[u8]) -> Result<(), String> {
    let mut cursor = Cursor { all: bytes, at: 0 };
    let count = cursor.count(51, "number of points")?;
    for _ in 0..count {
        cursor.u64("a point's number")?;
        for _ in 0..3 {
            cursor.finite("a point's position")?;
        }
        cursor.take(3, "a point's colour")?;
        cursor.finite("a point's error")?;
        let track = cursor.count(8, "length of a point's track")?;
        cursor.take(8 * track, "a point's track")?;
    }
    cursor.end("points")
}
