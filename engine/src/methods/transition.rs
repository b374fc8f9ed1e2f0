//! What a DDIM step between two levels multiplies.

use super::plan::estimate_noise;
use crate::error::Result;
use crate::schedulers::{Level, NoiseSchedule, StepCoefficients};

/// From one level to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::methods) struct Transition {
    pub(in crate::methods) timestep: usize,
    pub(in crate::methods) level: Level,
    pub(in crate::methods) next: Level,
    /// Fresh noise.
    pub(in crate::methods) sigma: f64,
}

impl Transition {
    /// What is left of the noise estimate.
    fn direction(&self) -> f64 {
        (self.next.noise * self.next.noise - self.sigma * self.sigma).max(0.0).sqrt()
    }

    pub(in crate::methods) fn is_last(&self) -> bool {
        self.next.noise == 0.0
    }

    /// Factors of the state and of the clean (or noise) estimate in the next state.
    pub(in crate::methods) fn update(&self, noise: bool) -> [f64; 2] {
        let (signal, sigma) = (self.level.signal, self.level.noise);
        if noise {
            let own = self.next.signal / signal;
            [own, self.direction() - own * sigma]
        } else {
            let own = self.direction() / sigma;
            [own, self.next.signal - own * signal]
        }
    }

    /// The DDIM step of views on their own.
    pub(in crate::methods) fn coefficients(&self, noise: &NoiseSchedule) -> Result<StepCoefficients> {
        let eps = estimate_noise(noise, self.timestep)?;
        let [own, other] = self.update(true);
        let clean = StepCoefficients::at(self.timestep as f64, self.level, self.next, noise.prediction_type);
        Ok(StepCoefficients {
            next_x: own + other * eps.clean_x,
            next_out: other * eps.clean_out,
            next_noise: self.sigma,
            ..clean
        })
    }

    /// The clean estimate, and what the network's own noise estimate adds to the next state.
    pub(in crate::methods) fn network_direction(&self, noise: &NoiseSchedule) -> Result<StepCoefficients> {
        let eps = estimate_noise(noise, self.timestep)?;
        let clean = StepCoefficients::at(self.timestep as f64, self.level, self.next, noise.prediction_type);
        let direction = self.direction();
        Ok(StepCoefficients { next_x: direction * eps.clean_x, next_out: direction * eps.clean_out, ..clean })
    }
}
