//! Several trajectories over the same views: source and target of an edit, two models, the prompts of a pair.

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;

/// Noise ids of views end here; what lies above says which branch draws.
const ID_BITS: u32 = 24;

/// Most branches: ids have eight bits for them.
pub const MAX_BRANCHES: usize = 256;

/// The id that the views of one place have in common, whatever their branch.
#[must_use]
pub fn shared_id(id: u32) -> u32 {
    id & ((1 << ID_BITS) - 1)
}

/// The branch that an id belongs to.
pub(super) fn branch_of(id: u32) -> usize {
    (id >> ID_BITS) as usize
}

/// A space whose views are those of all branches, branch after branch. Branches have noise ids of their own, `id | branch << 24`:
/// the first one's are those of the space alone.
#[derive(Debug)]
pub struct Branches {
    space: Box<dyn Space>,
    count: usize,
    split: bool,
}

impl Branches {
    /// Each view of `space` once for each branch, all on one canvas.
    ///
    /// # Errors
    /// When there are no branches, more than [`MAX_BRANCHES`], or more than 2²⁴ views.
    pub fn new(space: Box<dyn Space>, count: usize) -> Result<Self> {
        Self::checked(Self { space, count, split: false })
    }

    /// The views of `space`, which are all branches' already, each at its own place of the canvas: the first share is the first
    /// branch. With [`super::Frames`] the canvas shows all branches, one below the other.
    ///
    /// # Errors
    /// As [`Branches::new`], and when the views do not divide by the branches.
    pub fn split(space: Box<dyn Space>, count: usize) -> Result<Self> {
        let views = space.view_count();
        if count > 0 && !views.is_multiple_of(count) {
            return refuse("branches", count, format!("a divisor of {views} views"));
        }
        Self::checked(Self { space, count, split: true })
    }

    fn checked(self) -> Result<Self> {
        if !(1..=MAX_BRANCHES).contains(&self.count) {
            return refuse("branches", self.count, format!("1 to {MAX_BRANCHES}"));
        }
        let ids = self.space.view_count() * self.space.set_count();
        if ids >= 1 << ID_BITS {
            return refuse("views", ids, format!("fewer than {} in several branches", 1 << ID_BITS));
        }
        Ok(self)
    }
}

impl Space for Branches {
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
        if self.split { self.space.view_count() } else { self.count * self.space.view_count() }
    }

    fn views(&self, step: usize) -> Vec<View> {
        let views = self.space.views(step);
        let per_branch = if self.split { views.len() / self.count } else { views.len() };
        let of = |row: usize| {
            let (branch, place) = (row / per_branch, row % per_branch);
            let id = views[place].id | (branch as u32) << ID_BITS;
            View { id, ..views[if self.split { row } else { place }] }
        };
        (0..self.count * per_branch).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frames;
    use super::*;

    fn frames(count: usize) -> Box<dyn Space> {
        Box::new(Frames::new(count, [8, 8]).unwrap())
    }

    #[test]
    fn views_once_for_each_branch() {
        let space = Branches::new(frames(2), 3).unwrap();
        let views = space.views(0);
        let named: Vec<_> = views.iter().map(|view| (shared_id(view.id), view.branch())).collect();
        assert_eq!(named, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]);
        assert_eq!((views[1].words, space.view_count()), (views[5].words, 6));
        assert_eq!(views[..2], frames(2).views(0)[..], "the first branch is the space alone");
    }

    #[test]
    fn views_dealt_to_branches() {
        let space = Branches::split(frames(4), 2).unwrap();
        let views = space.views(0);
        let named: Vec<_> = views.iter().map(|view| (shared_id(view.id), view.branch())).collect();
        assert_eq!(named, [(0, 0), (1, 0), (0, 1), (1, 1)]);
        assert_eq!(views[3].words, frames(4).views(0)[3].words, "each at its own place");
        assert!(Branches::split(frames(4), 3).is_err() && Branches::new(frames(1), 0).is_err());
        assert!(Branches::new(frames(1), 257).is_err());
    }
}
