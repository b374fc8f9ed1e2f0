//! `contact-sheet`.

use super::{announce, images::read_image};
use crate::args::{ContactSheetArgs, Global};
use crate::exit::Failure;
use crate::output::{Embedded, Rgb8, Target, contact_sheet};

/// Puts pictures of one size into a grid.
pub fn run(global: &Global, args: &ContactSheetArgs) -> anyhow::Result<()> {
    let target = Target::check(&args.output, args.force)?;
    let mut tiles: Vec<Rgb8> = Vec::new();
    for path in &args.pictures {
        let image = read_image(path)?;
        let [height, width] = image.size;
        if let Some(first) = tiles.first().filter(|first| (first.width, first.height) != (width, height)) {
            let found = format!("{}: {width}x{height} pixels", path.display());
            let expected = format!("{}x{} as the first picture", first.width, first.height);
            return Err(Failure::input(format!("{found}, expected {expected}; give pictures of one size")).into());
        }
        tiles.push(Rgb8::from_unit(width, height, &image.rgb)?);
    }
    let sheet = contact_sheet(&tiles, args.columns, args.gap);
    announce(global, None, &[target.write_png(&sheet, &Embedded::default())?])
}
