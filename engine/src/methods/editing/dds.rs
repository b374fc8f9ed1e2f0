//! Delta denoising score (Hertz et al. 2023, arXiv 2304.07090): gradient steps along the difference of two noise estimates, of the
//! edit under the target's prompt and of the picture under the source's, noised alike.
//!
//! In terms of D = edit - picture the gradient is ε̂_t - ε̂_s = a/σ · (D - (clean_t - clean_s)) at a level (a, σ), so a step of
//! SGD is one [`EditStep`]; no optimiser state is needed.

use super::{EditStep, begin, check_guidance, estimate_pair, finish};
use crate::error::{Error, Result};
use crate::methods::plan::{Draw, Op, Plan, estimate_clean};
use crate::rng::{Purpose, philox4x32_10};
use crate::schedulers::{Level, NoiseSchedule};

/// All switches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dds {
    /// Gradient steps.
    pub iterations: usize,
    /// What a gradient is multiplied with; published: 0.1 of a loss of 2000 times the mean over 64×64 cells.
    pub rate: f64,
    /// Lowest and highest timestep drawn.
    pub timesteps: [usize; 2],
    /// Classifier-free guidance of source and target.
    pub guidance: [f64; 2],
    /// Seed of the timesteps.
    pub seed: u64,
}

impl Dds {
    /// As the authors ran it.
    #[must_use]
    pub fn published(seed: u64) -> Self {
        let rate = 0.1 * 2000.0 / (64.0 * 64.0);
        Self { iterations: 200, rate, timesteps: [50, 948], guidance: [7.5, 7.5], seed }
    }

    fn check(&self, train: usize) -> Result<()> {
        let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
        if self.iterations == 0 {
            return refuse("iterations", "0".into(), "at least 1".into());
        }
        let [low, high] = self.timesteps;
        if low > high || high >= train {
            return refuse("timesteps", format!("{low} to {high}"), format!("a range within 0 to {}", train - 1));
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return refuse("learning rate", self.rate.to_string(), "a number above 0".into());
        }
        check_guidance(&self.guidance)
    }

    fn timestep(&self, k: usize) -> usize {
        let [low, high] = self.timesteps;
        let words = philox4x32_10([k as u32, 2, 0, 0], [self.seed as u32, (self.seed >> 32) as u32]);
        low + ((u64::from(words[0]) * (high - low + 1) as u64) >> 32) as usize
    }

    /// The operations: branch 0 is the source, branch 1 the target.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule) -> Result<Plan> {
        self.check(noise.num_train_timesteps())?;
        let level = |k: usize| {
            if k == self.iterations { Ok(Level::CLEAN) } else { noise.level(self.timestep(k)) }
        };
        // Picture and edit at the level of iteration k: a X + σ ξ and a D more.
        let state = |k: usize, difference: [f64; 2]| -> Result<Op> {
            let Level { signal, noise } = level(k)?;
            let draw = Draw::new(Purpose::Renoise, k as u32).shared(true);
            Ok(EditStep { difference, source: [0.0, signal], sigma: noise, gamma: signal, draw }.into())
        };
        let mut ops = begin();
        ops.push(state(0, [0.0, 0.0])?);
        for k in 0..self.iterations {
            let draw = Draw::new(Purpose::Step, k as u32).shared(true);
            estimate_pair(&mut ops, &estimate_clean(noise, self.timestep(k))?, self.guidance, draw);
            let share = self.rate * level(k)?.signal / level(k)?.noise;
            ops.push(state(k + 1, [1.0 - share, share])?);
            ops.push(Op::EndStep { step: k });
        }
        Ok(finish(ops, 2))
    }
}
