//! A few of a space's views at a time, others each step.

use super::{Geometry, Interpolation, Space, View, refuse};
use crate::error::Result;
use crate::rng::{NoiseKey, Purpose};

/// B views of each step's set without replacement: the first of a random order that the seed and the step determine.
#[derive(Debug)]
pub struct MiniBatch {
    space: Box<dyn Space>,
    count: usize,
    seed: u64,
    one_noise: bool,
}

impl MiniBatch {
    /// `count` views of `space`.
    ///
    /// # Errors
    /// When there are none, or more than the space has.
    pub fn new(space: Box<dyn Space>, count: usize, seed: u64) -> Result<Self> {
        let views = space.view_count();
        if !(1..=views).contains(&count) {
            return refuse("views at a time", count, format!("1 to {views}"));
        }
        Ok(Self { space, count, seed, one_noise: false })
    }

    /// Whether all views draw the same noise.
    #[must_use]
    pub fn with_one_noise(self, one_noise: bool) -> Self {
        Self { one_noise, ..self }
    }

    /// Places of the views of a step, in a random order.
    fn order(&self, step: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.space.view_count()).collect();
        let key = NoiseKey { seed: self.seed, purpose: Purpose::View, trajectory: 1, view: 0, step: step as u32 };
        // Fisher and Yates, as far as needed.
        for i in 0..self.count {
            let unit = key.units(i as u32)[0];
            let other = i + (unit * (order.len() - i) as f64) as usize;
            order.swap(i, other);
        }
        order.truncate(self.count);
        order
    }
}

impl Space for MiniBatch {
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
        self.count
    }

    fn views(&self, step: usize) -> Vec<View> {
        let views = self.space.views(step);
        // All of them stay in their order: nothing is drawn where nothing is left out.
        let order = if self.count == views.len() { (0..self.count).collect() } else { self.order(step) };
        order.into_iter().map(|i| if self.one_noise { View { id: 0, ..views[i] } } else { views[i] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frames;
    use super::*;

    fn batch(count: usize, seed: u64) -> MiniBatch {
        MiniBatch::new(Box::new(Frames::new(7, [8, 8]).unwrap()), count, seed).unwrap()
    }

    fn ids(space: &MiniBatch, step: usize) -> Vec<u32> {
        space.views(step).iter().map(|view| view.id).collect()
    }

    #[test]
    fn each_view_comes_up_alike_and_never_twice_at_once() {
        let space = batch(3, 5);
        let mut counts = [0u32; 7];
        for step in 0..2100 {
            let mut ids = ids(&space, step);
            ids.iter().for_each(|id| counts[*id as usize] += 1);
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 3, "step {step}");
        }
        // 900 each; the deviation of a count is 23.
        assert!(counts.iter().all(|n| n.abs_diff(900) < 100), "{counts:?}");
        assert_eq!(ids(&space, 4), ids(&batch(3, 5), 4));
        assert!((0..9).any(|step| ids(&space, step) != ids(&batch(3, 6), step)));
    }

    #[test]
    fn all_views_keep_their_order_and_may_share_noise() {
        assert_eq!(ids(&batch(7, 1), 3), [0, 1, 2, 3, 4, 5, 6]);
        let shared = batch(7, 1).with_one_noise(true);
        assert_eq!(ids(&shared, 3), [0; 7]);
        assert_eq!(shared.views(0)[6].words, batch(7, 1).views(0)[6].words);
        let frames = || Box::new(Frames::new(7, [8, 8]).unwrap());
        assert!(MiniBatch::new(frames(), 0, 1).is_err() && MiniBatch::new(frames(), 8, 1).is_err());
    }
}
