//! Measures that need no downloads: how well views agree, whether seams show, whether poles are sound, and whether it was
//! bought with blur or sameness. Every formula: `docs/metrics.md`.

mod alignment;
mod camera;
mod detail;
mod diversity;
mod edges;
mod edit;
mod eigen;
mod frechet;
mod look;
mod measures;
pub mod mini;
mod overlap;
mod pictures;
mod plane;
mod pole;
mod sample;
mod seams;
mod set;
mod ssim;

pub use alignment::Alignment;
pub use camera::perspective;
pub use detail::{Detail, sharpness};
pub use diversity::{Diversity, diversity};
pub use edges::{Edges, edges};
pub use edit::{EditMeasures, Nearness};
pub use frechet::{Gaussian, frechet_distance};
pub use look::{Covered, Look};
pub use measures::{MeasureOptions, PanoramaMeasures, SingleViews};
pub use overlap::{Overlap, disagreement, overlap, overlap_of_sets};
pub use pictures::{Appearance, ColourSpread, Fidelity, Motion, PictureSetMeasures, PictureSetMeter};
pub use plane::Plane;
pub use pole::{Place, Pole, pole};
pub use sample::Equirect;
pub use seams::{Border, DISCONTINUITY_FLOOR, Seam, Seams, discontinuity, seam, seams};
pub use set::{Sample, SetMeasures, Summary};
pub use ssim::{SSIM_WINDOW, psnr, ssim, ssim_map};
