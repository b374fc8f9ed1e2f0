//! A folder of pictures: frames of a video when their names differ in one number only, else photos.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::picture_size;
use crate::exit::Failure;

/// Pictures of one folder are at most so many.
const MOST: usize = 100_000;
/// Missing numbers that a message lists.
const LISTED: usize = 8;
/// Ends of names that are pictures.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

/// Whether a name ends as a picture's.
pub fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

/// Numbers in names count as numbers: `frame_2` comes before `frame_10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a.as_bytes(), b.as_bytes());
    loop {
        let (Some(&x), Some(&y)) = (a_rest.first(), b_rest.first()) else {
            // Equal but for leading zeros: the names themselves decide.
            return a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b));
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (digits(a_rest), digits(b_rest));
            let (p, q) = (trimmed(&a_rest[..m]), trimmed(&b_rest[..n]));
            match p.len().cmp(&q.len()).then_with(|| p.cmp(q)) {
                Ordering::Equal => (a_rest, b_rest) = (&a_rest[m..], &b_rest[n..]),
                other => return other,
            }
        } else if x == y {
            (a_rest, b_rest) = (&a_rest[1..], &b_rest[1..]);
        } else {
            return x.cmp(&y);
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn trimmed(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros.min(digits.len() - 1)..]
}

/// What stands around the last number of a name, without the extension.
fn pattern(name: &str) -> Option<((String, String), u64)> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let end = stem.rfind(|c: char| c.is_ascii_digit())? + 1;
    let begin = stem[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + stem[at..].chars().next().map_or(1, char::len_utf8));
    let number = stem[begin..end].parse().ok()?;
    Some(((stem[..begin].to_owned(), stem[end..].to_owned()), number))
}

/// Names of the pictures in a folder in natural order. With `gaps` the numbers of frames may leave some out.
///
/// # Errors
/// With code 3 when there are none, or when frames are missing or there twice.
pub fn list(folder: &Path, gaps: bool) -> anyhow::Result<Vec<PathBuf>> {
    let refuse = |message: String| Failure::input(format!("{}: {message}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(|e| refuse(format!("cannot be read: {e}")))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let path = entry.path();
        if !is_picture(&path) || !path.is_file() {
            continue;
        }
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| refuse(format!("the name {} is no UTF-8; rename the file", name.to_string_lossy())))?;
        if !name.starts_with('.') {
            names.push(name);
        }
        if names.len() > MOST {
            return Err(refuse(format!("found more than {MOST} pictures; give at most so many")).into());
        }
    }
    if names.is_empty() {
        return Err(
            refuse("found no .png, .jpg or .webp picture; give a folder with frames or photos".to_owned()).into()
        );
    }
    names.sort_by(|a, b| natural(a, b));
    if !gaps {
        check_numbers(&names).map_err(refuse)?;
    }
    Ok(names.into_iter().map(PathBuf::from).collect())
}

/// Frames count on by the same step; where names have several patterns they are no frames.
fn check_numbers(names: &[String]) -> Result<(), String> {
    let mut numbers: BTreeMap<u64, &String> = BTreeMap::new();
    let mut shared = None;
    for name in names {
        let Some((around, number)) = pattern(name) else { return Ok(()) };
        if *shared.get_or_insert_with(|| around.clone()) != around {
            return Ok(());
        }
        if let Some(other) = numbers.insert(number, name) {
            return Err(format!("{other} and {name} are both frame {number}; keep one of them"));
        }
    }
    let all: Vec<u64> = numbers.keys().copied().collect();
    let Some(step) = all.windows(2).map(|w| w[1] - w[0]).min() else { return Ok(()) };
    let mut missing = Vec::new();
    let mut count = 0;
    for pair in all.windows(2) {
        let between = (pair[1] - pair[0] - 1) / step;
        count += between;
        let first = pair[0] + step;
        if between > 0 && missing.len() < LISTED {
            let last = pair[0] + between * step;
            missing.push(if between == 1 { first.to_string() } else { format!("{first} to {last}") });
        }
    }
    if count == 0 {
        return Ok(());
    }
    let more = if missing.len() == LISTED { " …" } else { "" };
    let (first, last) = (&names[0], &names[names.len() - 1]);
    Err(format!(
        "{count} frames are missing between {first} and {last}: {}{more}; add them, or say with --gaps that the numbers may \
         leave some out",
        missing.join(", ")
    ))
}

/// `[height, width]` of every picture.
///
/// # Errors
/// With code 3 for a file that is no picture.
pub fn sizes(folder: &Path, names: &[PathBuf]) -> anyhow::Result<Vec<[usize; 2]>> {
    names.iter().map(|name| picture_size(&folder.join(name))).collect()
}

/// The one size of all pictures.
///
/// # Errors
/// With code 3, with two names and their sizes.
pub fn one_size(place: &Path, names: &[PathBuf], sizes: &[[usize; 2]]) -> anyhow::Result<[usize; 2]> {
    let first = sizes[0];
    let Some(other) = sizes.iter().position(|size| *size != first) else { return Ok(first) };
    let differ = sizes.iter().filter(|size| **size != first).count();
    let text = |i: usize| format!("{} is {}x{}", names[i].display(), sizes[i][1], sizes[i][0]);
    Err(Failure::input(format!(
        "{}: {}, {}; {differ} of {} pictures have another size than the first: bring all to one size",
        place.display(),
        text(0),
        text(other),
        sizes.len()
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut found =
            names(&["f10.png", "f9.png", "f009b.png", "f1.png", "g0.png", "f01.png", "f100000000000000000000.png"]);
        found.sort_by(|a, b| natural(a, b));
        let expected = ["f01.png", "f1.png", "f9.png", "f009b.png", "f10.png", "f100000000000000000000.png", "g0.png"];
        assert_eq!(found, expected);
        assert_eq!(natural("a", "a1"), Ordering::Less);
        assert_eq!(natural("00", "0"), Ordering::Greater);
        assert_eq!(natural("x", "x"), Ordering::Equal);
    }

    #[test]
    fn the_last_number_is_the_frames() {
        let around = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(pattern("take2_007.png"), Some((around("take2_", ""), 7)));
        assert_eq!(pattern("12.jpg"), Some((around("", ""), 12)));
        assert_eq!(pattern("ä3ö.png"), Some((around("ä", "ö"), 3)));
        assert_eq!(pattern("cover.png"), None);
        assert_eq!(pattern("99999999999999999999999.png"), None);
    }

    #[test]
    fn gaps_are_named() {
        assert_eq!(check_numbers(&names(&["f1.png", "f2.png", "f3.png"])), Ok(()));
        // Every tenth frame is a set without gaps.
        assert_eq!(check_numbers(&names(&["f0.png", "f10.png", "f20.png"])), Ok(()));
        assert_eq!(check_numbers(&names(&["f0.png", "cover.png", "f5.png"])), Ok(()));
        assert_eq!(check_numbers(&names(&["a1.png", "b9.png", "a3.png"])), Ok(()));
        let gaps = check_numbers(&names(&["f1.png", "f2.png", "f4.png", "f9.png"])).unwrap_err();
        assert!(gaps.starts_with("5 frames are missing between f1.png and f9.png: 3, 5 to 8; add them"), "{gaps}");
        let twice = check_numbers(&names(&["f01.png", "f1.jpg"])).unwrap_err();
        assert!(twice.starts_with("f01.png and f1.jpg are both frame 1"), "{twice}");
        let far = check_numbers(&names(&["f0.png", "f1.png", "f18446744073709551615.png"])).unwrap_err();
        assert!(far.starts_with("18446744073709551613 frames are missing"), "{far}");
    }

    #[test]
    fn folders_are_listed_and_other_files_left() {
        let dir = tempfile::tempdir().unwrap();
        let refused = list(dir.path(), false).unwrap_err().to_string();
        assert!(refused.contains("found no .png, .jpg or .webp picture"), "{refused}");
        for name in ["b2.PNG", "b10.png", "notes.txt", ".b3.png", "b1.png"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("b5.png")).unwrap();
        assert_eq!(list(dir.path(), true).unwrap(), ["b1.png", "b2.PNG", "b10.png"].map(PathBuf::from));
        assert!(list(dir.path(), false).unwrap_err().to_string().contains("7 frames are missing"));
    }

    #[test]
    fn other_sizes_are_refused_with_both() {
        let names = ["a.png", "b.png", "c.png"].map(PathBuf::from);
        let refused = one_size(Path::new("in"), &names, &[[2, 3], [2, 3], [3, 2]]).unwrap_err().to_string();
        assert_eq!(
            refused,
            "in: a.png is 3x2, c.png is 2x3; 1 of 3 pictures have another size than the first: bring all to one size"
        );
    }
}
