//! Published and own settings.

use std::fmt;
use std::str::FromStr;

use super::{OdeSolver, StochSync};
use crate::methods::{Finish, Medium};

/// A named set of switches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// As the paper states: 50 DDIM nodes, one start from noise, no seam treatment.
    Paper,
    /// As the authors' code runs: 25 DPM-Solver++ nodes, two warm-up steps, blending in the last two.
    Official,
    /// As `Official` with the treatments that models with small latents need: few steps that soon reach down to little noise
    /// (a 16×16 latent has no redundancy that would survive more), predictions of at least four steps, what the autoencoder
    /// loses given back, views rendered wider than used, and the last two sets faded into each other. The default for
    /// latents below 32×32.
    ///
    /// Tried on the built-in model, two prompts, disagreement against independent views and sharpness against single
    /// views: 20 steps 800 → 0 as here 3.4× and 4.7× at 0.59 and 0.73; 10 steps from 700 2.8× and 4.1× at 0.72 and 0.74;
    /// this 3.2× and 4.6× at 0.72 and 0.78; 5 steps 2.8× and 4.0× at 0.70 and 0.82. Each further pass smooths. DDIM
    /// instead of DPM-Solver++, guidance off at low levels, more prediction steps and more guidance were all softer.
    Small,
    /// A quick look: a third of the evaluations.
    Draft,
    /// For models distilled to few steps (SD-Turbo, LCM): predictions of one to four steps without guidance, some 150
    /// evaluations for a panorama.
    Turbo,
    /// The second stage of the paper's 8K panoramas: refines a finished panorama of half the size, with narrower views.
    Upscale,
}

impl Preset {
    /// All presets.
    pub const ALL: [Self; 6] = [Self::Paper, Self::Official, Self::Small, Self::Draft, Self::Turbo, Self::Upscale];

    /// The default for a model with latents of `side`×`side`.
    #[must_use]
    pub const fn for_latents(side: usize) -> Self {
        if side < 32 { Self::Small } else { Self::Official }
    }

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Official => "official",
            Self::Small => "small",
            Self::Draft => "draft",
            Self::Turbo => "turbo",
            Self::Upscale => "upscale",
        }
    }

    /// The switches.
    #[must_use]
    pub fn method(self) -> StochSync {
        let official = StochSync {
            steps: 25,
            t_max: 900.0,
            t_min: 270.0,
            t_power: 1.0,
            warmup_steps: 2,
            seam_removal_steps: 2,
            ode_steps: 25,
            min_ode_steps: 1,
            solver: OdeSolver::Dpmpp2m,
            guidance_scale: 7.5,
            correct_encoding: false,
            fov: 72.0,
            used_fov: 72.0,
            feather: false,
            max_stochasticity: true,
            multi_step: true,
            medium: Medium::Rgb,
            finish: Finish::Views,
            inpaint: false,
        };
        let small = StochSync {
            steps: 7,
            t_max: 650.0,
            t_min: 3.0,
            t_power: 2.0,
            warmup_steps: 1,
            seam_removal_steps: 0,
            ode_steps: 12,
            min_ode_steps: 4,
            guidance_scale: 5.0,
            correct_encoding: true,
            fov: 80.0,
            feather: true,
            ..official
        };
        match self {
            Self::Paper => {
                StochSync { warmup_steps: 1, seam_removal_steps: 0, ode_steps: 50, solver: OdeSolver::Ddim, ..official }
            }
            Self::Official => official,
            Self::Draft => StochSync { steps: 5, ode_steps: 8, min_ode_steps: 3, ..small },
            Self::Small => small,
            Self::Turbo => turbo(official),
            Self::Upscale => upscale(official),
        }
    }
}

/// See [`Preset::Turbo`].
fn turbo(official: StochSync) -> StochSync {
    StochSync {
        steps: 12,
        warmup_steps: 1,
        seam_removal_steps: 0,
        ode_steps: 4,
        solver: OdeSolver::Ddim,
        guidance_scale: 1.0,
        ..official
    }
}

/// See [`Preset::Upscale`].
fn upscale(official: StochSync) -> StochSync {
    StochSync {
        steps: 12,
        t_max: 600.0,
        warmup_steps: 0,
        seam_removal_steps: 4,
        ode_steps: 30,
        fov: 36.0,
        used_fov: 36.0,
        ..official
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|preset| preset.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("preset is {text:?}, expected one of {names}")
        })
    }
}
