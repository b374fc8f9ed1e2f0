//! COLMAP's models as text.

use std::str::FromStr;

use super::colmap::{Camera, Image, MODELS};

/// Lines with their numbers from 1.
fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| format!("byte {}: found no UTF-8, expected text; is this a binary model?", e.valid_up_to()))?;
    Ok(text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())))
}

fn is_entry((_, line): &(usize, &str)) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

fn number<T: FromStr>(word: Option<&str>, line: usize, what: &str) -> Result<T, String> {
    let found = word.map_or("nothing".to_owned(), |word| format!("'{}'", syncline_loader::escaped(word, 40)));
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| format!("line {line}: {what}: found {found}, expected a number"))
}

fn finite(word: Option<&str>, line: usize, what: &str) -> Result<f64, String> {
    let value: f64 = number(word, line, what)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("line {line}: {what}: found {value}, expected a finite number"))
    }
}

/// `CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]`.
pub fn cameras(bytes: &[u8]) -> Result<Vec<Camera>, String> {
    let mut cameras = Vec::new();
    for (line, text) in lines(bytes)?.filter(is_entry) {
        let mut words = text.split_whitespace();
        let id = number(words.next(), line, "CAMERA_ID")?;
        let name = words.next().unwrap_or_default();
        let Some((_, count)) = MODELS.iter().find(|(model, _)| *model == name) else {
            let name = syncline_loader::escaped(name, 40);
            return Err(format!("line {line}: found camera model '{name}', expected one of COLMAP's, such as PINHOLE"));
        };
        let width = number(words.next(), line, "WIDTH")?;
        let height = number(words.next(), line, "HEIGHT")?;
        let mut found = 0;
        for word in words {
            finite(Some(word), line, "PARAMS")?;
            found += 1;
        }
        if found != *count {
            return Err(format!("line {line}: found {found} parameters, expected {count} for {name}"));
        }
        cameras.push(Camera { id, height, width });
    }
    Ok(cameras)
}

/// `IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME`, and a line of points, which may be empty.
pub fn images(bytes: &[u8]) -> Result<Vec<Image>, String> {
    let mut images = Vec::new();
    let mut lines = lines(bytes)?;
    while let Some((line, text)) = lines.find(is_entry) {
        let mut rest = text;
        let mut word = || {
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = after.trim_start();
            (!word.is_empty()).then_some(word)
        };
        number::<u32>(word(), line, "IMAGE_ID")?;
        let mut length = 0.0;
        for what in ["QW", "QX", "QY", "QZ"] {
            length += finite(word(), line, what)?.powi(2);
        }
        for what in ["TX", "TY", "TZ"] {
            finite(word(), line, what)?;
        }
        if length == 0.0 {
            return Err(format!("line {line}: found a rotation of length 0, expected a unit quaternion"));
        }
        let camera = number(word(), line, "CAMERA_ID")?;
        if rest.is_empty() {
            return Err(format!("line {line}: found no NAME"));
        }
        let place = format!("line {line}");
        images.push(Image { place, camera, name: rest.to_owned() });
        if let Some((line, points)) = lines.next() {
            check_points(points, line)?;
        }
    }
    Ok(images)
}

/// Triples `X Y POINT3D_ID`.
fn check_points(text: &str, line: usize) -> Result<(), String> {
    let mut count = 0;
    for (i, word) in text.split_whitespace().enumerate() {
        if i % 3 == 2 {
            number::<i64>(Some(word), line, "POINT3D_ID")?;
        } else {
            finite(Some(word), line, "X and Y")?;
        }
        count += 1;
    }
    if count % 3 != 0 {
        return Err(format!(
            "line {line}: found {count} numbers, expected X Y POINT3D_ID for each point of the image above"
        ));
    }
    Ok(())
}

/// `POINT3D_ID X Y Z R G B ERROR TRACK[]`.
pub fn points(bytes: &[u8]) -> Result<(), String> {
    for (line, text) in lines(bytes)?.filter(is_entry) {
        let mut words = text.split_whitespace();
        number::<u64>(words.next(), line, "POINT3D_ID")?;
        for what in ["X", "Y", "Z"] {
            finite(words.next(), line, what)?;
        }
        for what in ["R", "G", "B"] {
            number::<u8>(words.next(), line, what)?;
        }
        finite(words.next(), line, "ERROR")?;
        let track = words.map(|word| number::<u32>(Some(word), line, "TRACK")).collect::<Result<Vec<_>, _>>()?;
        if track.len() % 2 != 0 {
            return Err(format!("line {line}: found {} numbers in TRACK, expected pairs", track.len()));
        }
    }
    Ok(())
}
