//! Prompts of regions (MultiDiffusion, Bar-Tal et al. 2023): each view of a space once per region, counted by fusion only where
//! the region's weights are.

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;

/// A space whose views are drawn once for each of a number of regions.
#[derive(Debug)]
pub struct Regions {
    space: Box<dyn Space>,
    count: usize,
}

impl Regions {
    /// `space` with `count` regions; their weights `[count, H, W]` go to [`super::fuse`].
    ///
    /// # Errors
    /// When there are none, or more than 64.
    pub fn new(space: Box<dyn Space>, count: usize) -> Result<Self> {
        if !(1..=64).contains(&count) {
            return refuse("regions", count, "1 to 64");
        }
        Ok(Self { space, count })
    }
}

impl Space for Regions {
    fn canvas_size(&self) -> [usize; 2] {
        self.space.canvas_size()
    }

    fn view_size(&self) -> [usize; 2] {
        self.space.view_size()
    }

    fn geometry(&self) -> Geometry {
        self.space.geometry()
    }

    fn interpolation(&self) -> Interpolation {
        self.space.interpolation()
    }

    fn set_count(&self) -> usize {
        self.space.set_count()
    }

    fn view_count(&self) -> usize {
        self.count * self.space.view_count()
    }

    /// Region by region. Views of one place share their noise id: what they show agrees where regions meet.
    fn views(&self, step: usize) -> Vec<View> {
        let views = self.space.views(step);
        let of = |region: usize| {
            views.iter().map(move |view| View { words: view.words.in_region(Some(region as u16)), ..*view })
        };
        (0..self.count).flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frames;
    use super::*;

    #[test]
    fn each_view_once_for_each_region() {
        let space = Regions::new(Box::new(Frames::new(2, [8, 8]).unwrap()), 3).unwrap();
        let views = space.views(0);
        let named: Vec<_> = views.iter().map(|view| (view.id, view.region())).collect();
        assert_eq!(named, [(0, Some(0)), (1, Some(0)), (0, Some(1)), (1, Some(1)), (0, Some(2)), (1, Some(2))]);
        assert_eq!(space.view_count(), 6);
        assert!(Regions::new(Box::new(Frames::new(2, [8, 8]).unwrap()), 0).is_err());
    }
}
