//! A page that shows a panorama all around: one file, no network, readable without WebGL too.

use syncline::kernels::gpu::Context;

use super::environment::{Drawing, Sphere};
use super::html::{data_uri, escaped};

/// Most rows of the picture in a page: the smallest largest texture among today's devices is 4096 wide.
const MAX_HEIGHT: usize = 2048;

const PAGE: &str = include_str!("viewer.html");

/// The page of a sphere. `#az=90&el=20&fov=60` behind its address is where it looks first.
///
/// # Errors
/// When drawing the panorama fails or it holds NaN.
pub fn viewer_page(ctx: &Context, sphere: &Sphere, drawing: &Drawing, title: &str) -> anyhow::Result<String> {
    let height = sphere.panorama_height().min(MAX_HEIGHT);
    let picture = data_uri(&sphere.panorama(ctx, height, drawing)?)?;
    let generator = format!("syncline {}", env!("CARGO_PKG_VERSION"));
    let page = PAGE.replace("{{generator}}", &generator).replace("{{title}}", &escaped(title));
    // Last: nothing in the picture or the title is taken for a place to fill.
    Ok(page.replacen("{{picture}}", &picture, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_calls_nobody() {
        assert!(PAGE.len() < 15_000, "{} bytes", PAGE.len());
        for address in ["http:", "https:", "//cdn", "src=\"/", "fetch(", "XMLHttpRequest", "import "] {
            assert!(!PAGE.contains(address), "{address}");
        }
        assert!(PAGE.contains("default-src 'none'"));
        assert_eq!(PAGE.matches("{{picture}}").count(), 1);
    }
}
