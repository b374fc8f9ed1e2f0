//! Where the views of a panorama look.

use syncline_kernels::ops::project_renoise::rotation;

use crate::error::{Error, Result};

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
    /// Any views: `[azimuth, elevation, roll]` in degrees. All sets must have the same length.
    Custom(Vec<Vec<[f64; 3]>>),
}

impl ViewSet {
    /// The view set of the paper.
    pub const PAPER: Self = Self::Rings { sets: 2, views: 5 };

    /// Camera-to-world rotations of every set.
    pub(super) fn rotations(&self) -> Result<Vec<Vec<[[f64; 3]; 3]>>> {
        self.check()?;
        let angles = match self {
            Self::Rings { sets, views } => {
                let distance = 360.0 / (*views).max(1) as f64;
                let azimuth = |set: usize, view: usize| distance * (view as f64 + set as f64 / *sets as f64);
                (0..*sets).map(|set| (0..*views).map(|view| [azimuth(set, view), 0.0, 0.0]).collect()).collect()
            }
            Self::Custom(sets) => sets.clone(),
        };
        let turn = |[azimuth, elevation, roll]: [f64; 3]| {
            rotation(azimuth.to_radians(), elevation.to_radians(), roll.to_radians())
        };
        Ok(angles.into_iter().map(|set: Vec<[f64; 3]>| set.into_iter().map(turn).collect()).collect())
    }

    /// Before anything of the size asked for is built.
    fn check(&self) -> Result<()> {
        let (sets, views, even) = match self {
            Self::Rings { sets, views } => (*sets, *views, true),
            Self::Custom(sets) => {
                let views = sets.first().map_or(0, Vec::len);
                (sets.len(), views, sets.iter().all(|set| set.len() == views))
            }
        };
        if even && (1..=64).contains(&sets) && (1..=64).contains(&views) {
            return Ok(());
        }
        let found = if even { format!("{sets} sets of {views} views") } else { "sets of different lengths".into() };
        Err(Error::Input { what: "view sets", found, expected: "1 to 64 sets, each of the same 1 to 64 views".into() })
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
            Self::Custom(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_rings() {
        let sets = ViewSet::PAPER.rotations().unwrap();
        assert_eq!((sets.len(), sets[0].len()), (2, 5));
        // Second view of the second ring looks at azimuth 108: x = sin, z = cos.
        let axis: Vec<f64> = sets[1][1].iter().map(|row| row[2]).collect();
        assert!((axis[0] - 108f64.to_radians().sin()).abs() < 1e-12 && axis[1].abs() < 1e-12);
        let borders: Vec<f64> = ViewSet::PAPER.borders().iter().map(|b| b % 360.0).collect();
        assert_eq!(borders, [36.0, 72.0, 108.0, 144.0, 180.0, 216.0, 252.0, 288.0, 324.0, 0.0]);
    }

    #[test]
    fn ragged_sets_are_refused() {
        assert!(ViewSet::Custom(vec![vec![[0.0; 3]], vec![]]).rotations().is_err());
        assert!(ViewSet::Custom(vec![]).rotations().is_err());
    }
}
