//! Where the views of a panorama look.

use syncline_kernels::ops::project_renoise::rotation;

use super::super::refuse;
use crate::error::Result;

/// Sets of views.
#[derive(Clone, Debug, PartialEq)]
pub enum ViewSet {
    /// `sets` rings of `views` level views each; ring i is turned by i/sets of the distance between views. The paper's
    /// panorama is 2 rings of 5: {0, 72 …} and {36, 108 …}.
    Rings {
        /// Number of rings.
        sets: usize,
        /// Views of each.
        views: usize,
    },
    /// Two sets that together show the whole sphere, zenith and nadir included, with views of at least 72°: in any two steps
    /// in a row nothing stays unseen. Eight views each, of which a tenth overlaps; from 90° on six, and each set shows
    /// everything alone.
    Full,
    /// Any views: `[azimuth, elevation, roll]` in degrees. All sets must have the same length.
    Custom(Vec<Vec<[f64; 3]>>),
}

impl ViewSet {
    /// The view set of the StochSync paper and of the authors' code: azimuths 0, 72 … and 36, 108 …
    pub const PAPER: Self = Self::Rings { sets: 2, views: 5 };
    /// The view set of SyncTweedies: azimuths 0, 45 …
    pub const SYNC_TWEEDIES: Self = Self::Rings { sets: 1, views: 8 };

    /// The view set of StochSync's upscaling to 8192 × 4096 with views of 36°: four sets of fifteen, each five triples of a
    /// level view and two views 36° to its right, 18° up and down; a set is turned by 18° against the one before.
    #[must_use]
    pub fn upscaling() -> Self {
        let triple = |azimuth: f64| [[azimuth, 0.0, 0.0], [azimuth + 36.0, 18.0, 0.0], [azimuth + 36.0, -18.0, 0.0]];
        let set = |i: usize| (0..5).flat_map(|j| triple(18.0 * i as f64 + 72.0 * f64::from(j))).collect();
        Self::Custom((0..4).map(set).collect())
    }

    /// All views of all sets in one set, for methods that need the same views in every step.
    ///
    /// # Errors
    /// When the sets are refused.
    pub fn together(&self, used_fov: f64) -> Result<Self> {
        self.check(used_fov)?;
        Ok(match self {
            Self::Rings { sets, views } => Self::Rings { sets: 1, views: sets * views },
            Self::Full => Self::Custom(vec![full(used_fov).concat()]),
            Self::Custom(sets) => Self::Custom(vec![sets.concat()]),
        })
    }

    /// Camera-to-world rotations of every set of views that use `used_fov` degrees.
    pub(super) fn rotations(&self, used_fov: f64) -> Result<Vec<Vec<[[f64; 3]; 3]>>> {
        self.check(used_fov)?;
        let angles = match self {
            Self::Rings { sets, views } => {
                let distance = 360.0 / (*views).max(1) as f64;
                let azimuth = |set: usize, view: usize| distance * (view as f64 + set as f64 / *sets as f64);
                (0..*sets).map(|set| (0..*views).map(|view| [azimuth(set, view), 0.0, 0.0]).collect()).collect()
            }
            Self::Full => full(used_fov),
            Self::Custom(sets) => sets.clone(),
        };
        let turn = |[azimuth, elevation, roll]: [f64; 3]| {
            rotation(azimuth.to_radians(), elevation.to_radians(), roll.to_radians())
        };
        Ok(angles.into_iter().map(|set: Vec<[f64; 3]>| set.into_iter().map(turn).collect()).collect())
    }

    /// Before anything of the size asked for is built.
    fn check(&self, used_fov: f64) -> Result<()> {
        if *self == Self::Full && used_fov < FULL_FOV {
            return refuse("used fov", used_fov, format!("at least {FULL_FOV} degrees for views of the full sphere"));
        }
        let (sets, views, even) = match self {
            Self::Rings { sets, views } => (*sets, *views, true),
            Self::Full => return Ok(()),
            Self::Custom(sets) => {
                let views = sets.first().map_or(0, Vec::len);
                (sets.len(), views, sets.iter().all(|set| set.len() == views))
            }
        };
        if even && (1..=64).contains(&sets) && (1..=64).contains(&views) {
            return Ok(());
        }
        let found = if even { format!("{sets} sets of {views} views") } else { "sets of different lengths".into() };
        refuse("view sets", found, "1 to 64 sets, each of the same 1 to 64 views")
    }

    /// Azimuths in degrees of the borders between neighbouring level views of every set, for seam measures.
    #[must_use]
    pub fn borders(&self) -> Vec<f64> {
        match self {
            Self::Rings { sets, views } => {
                let distance = 360.0 / *views as f64;
                let border = |i: usize| distance * (i as f64 / *sets as f64 + 0.5);
                (0..sets * views).map(border).collect()
            }
            Self::Full | Self::Custom(_) => Vec::new(),
        }
    }
}

/// Smallest field with which [`ViewSet::Full`] leaves nothing out.
const FULL_FOV: f64 = 72.0;

/// [`ViewSet::Full`]. Below 90°: six level views, zenith and nadir; then four views at elevation ±37.5° each. The level ring
/// reaches latitude atan(tan 36° cos x) at x degrees from an axis, 34.5° at the 15° where the borders of the second set's
/// views lie, and those meet at 34°; upwards they reach 63.5°, beyond the zenith view's 54°. From 90° on: a cube with level
/// faces, and a cube on its corner, whose faces look ±asin(1/√3) up and down.
fn full(used_fov: f64) -> Vec<Vec<[f64; 3]>> {
    let ring = |count: usize, first: f64, elevation: f64, roll: f64| {
        (0..count).map(move |i| [first + 360.0 * i as f64 / count as f64, elevation, roll])
    };
    let poles = [[0.0, 90.0, 0.0], [0.0, -90.0, 0.0]];
    if used_fov >= 90.0 {
        let corner = (1.0 / 3f64.sqrt()).asin().to_degrees();
        let standing = ring(3, 0.0, corner, 45.0).chain(ring(3, 60.0, -corner, 45.0));
        return vec![ring(4, 0.0, 0.0, 0.0).chain(poles).collect(), standing.collect()];
    }
    let between = ring(4, 0.0, 37.5, 0.0).chain(ring(4, 0.0, -37.5, 0.0));
    vec![ring(6, 0.0, 0.0, 0.0).chain(poles).collect(), between.collect()]
}
