//! Levels of rectified-flow models: x = (1 - s) · clean + s · eps, the model's output is the velocity v = dx/ds = eps - clean
//! (Liu et al. 2022; Esser et al. 2024, whose section 5.3.2 shifts levels with the number of tokens; diffusers'
//! `FlowMatchEulerDiscreteScheduler` with `use_dynamic_shifting`).

use super::plan::{Level, StepCoefficients};

/// Shift of the levels by the number of image tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicShift {
    /// Tokens and exponent mu of the smallest picture.
    pub base: (f64, f64),
    /// Tokens and exponent mu of the largest picture.
    pub max: (f64, f64),
}

impl DynamicShift {
    /// Flux.1-dev's.
    pub const FLUX: Self = Self { base: (256.0, 0.5), max: (4096.0, 1.15) };

    /// The exponent for this many tokens, linear between the two.
    #[must_use]
    pub fn mu(&self, tokens: usize) -> f64 {
        let slope = (self.max.1 - self.base.1) / (self.max.0 - self.base.0);
        self.base.1 + (tokens as f64 - self.base.0) * slope
    }
}

/// The `steps + 1` levels s from 1 to 0: evenly spaced u from 1 to 1/steps, shifted to e^mu / (e^mu + 1/u - 1), and 0.
#[must_use]
pub fn flow_sigmas(steps: usize, mu: f64) -> Vec<f64> {
    let shift = mu.exp();
    let even = super::timesteps::linspace(1.0, 1.0 / steps.max(1) as f64, steps);
    even.into_iter().map(|u| shift / (shift + (1.0 / u - 1.0))).chain([0.0]).collect()
}

impl Level {
    /// 1 - s and s.
    pub const fn flow(s: f64) -> Self {
        Self { signal: 1.0 - s, noise: s }
    }
}

impl StepCoefficients {
    /// The Euler step of a velocity model from s to another level, and the clean estimate x - s · v. The model's time is
    /// 1000 s, as diffusers' schedulers count.
    pub fn flow(s: f64, next: f64) -> Self {
        Self {
            timestep: 1000.0 * s,
            level: Level::flow(s),
            next_level: Level::flow(next),
            input_scale: 1.0,
            clean_x: 1.0,
            clean_out: -s,
            next_x: 1.0,
            next_out: next - s,
            next_clean: 0.0,
            next_prev_clean: 0.0,
            next_noise: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Flux at 1024 pixels in 28 steps: the published scheduler's levels.
    #[test]
    fn levels_are_those_of_flux() {
        let s = flow_sigmas(28, DynamicShift::FLUX.mu(4096));
        assert_eq!((s.len(), s[0], s[28]), (29, 1.0, 0.0));
        let close = |i: usize, expected: f64| assert!((s[i] - expected).abs() < 5e-6, "{i}: {} {expected}", s[i]);
        let first = [0.98841, 0.97622, 0.96339, 0.94987];
        first.into_iter().enumerate().for_each(|(i, expected)| close(i + 1, expected));
        close(26, 0.19545);
        close(27, 0.10472);
        assert!(s.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn the_shift_follows_the_tokens() {
        let mu = |tokens| DynamicShift::FLUX.mu(tokens);
        assert_eq!((mu(256), mu(4096)), (0.5, 1.15));
        assert!((mu(1024) - 0.63).abs() < 1e-12 && (mu(2304) - 0.846_666_666_667).abs() < 1e-9);
        // Without a shift levels are even.
        let even = flow_sigmas(4, 0.0);
        assert!(even.iter().zip([1.0, 0.75, 0.5, 0.25, 0.0]).all(|(a, b)| (a - b).abs() < 1e-15));
        assert_eq!(flow_sigmas(1, 1.15), [1.0, 0.0]);
    }

    /// v = eps - clean: the step stays on the line between clean and noise, and the estimate is its end.
    #[test]
    fn a_step_with_the_true_velocity_is_exact() {
        let (clean, eps) = (0.7, -1.3);
        let at = |s: f64| (1.0 - s) * clean + s * eps;
        for (s, next) in [(1.0, 0.9), (0.62, 0.3), (0.1, 0.0)] {
            let step = StepCoefficients::flow(s, next);
            let (x, estimate) = step.advance(at(s), eps - clean, 0.0, 0.0);
            assert!((x - at(next)).abs() < 1e-12 && (estimate - clean).abs() < 1e-12);
            assert_eq!(step.level.signal + step.level.noise, 1.0);
        }
    }
}
