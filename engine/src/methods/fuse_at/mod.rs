//! Diffusion synchronisation: views step together, and what they say is averaged on the canvas (SyncTweedies, Kim et al.
//! 2024, whose cases 0 to 6 are [`FuseAt`] × [`StateAt`]; MultiDiffusion, Bar-Tal et al. 2023, is case 6 over windows).
//!
//! f projects, g fuses, φ is the clean estimate, ψ the DDIM step:
//!
//! | case | rule | here |
//! |---|---|---|
//! | 0 | views apart | [`FuseAt::Never`] |
//! | 1 | x' = ψ(x, φ(x, f g ε)) | [`FuseAt::Noise`], [`StateAt::Views`] |
//! | 2 | x' = ψ(x, f g φ(x, ε)), SyncTweedies | [`FuseAt::Clean`], [`StateAt::Views`] |
//! | 3 | x' = f g ψ(x, φ(x, ε)) | [`FuseAt::Next`], [`StateAt::Views`] |
//! | 4 | x = f z, z' = ψ(z, φ(z, g ε)) | [`FuseAt::Noise`], [`StateAt::Canvas`] |
//! | 5 | x = f z, z' = ψ(z, g φ(x, ε)) | [`FuseAt::Clean`], [`StateAt::Canvas`] |
//! | 6 | x = f z, z' = g ψ(x, φ(x, ε)), MultiDiffusion | [`FuseAt::Next`], [`StateAt::Canvas`] |
//!
//! Known deviations from the authors' code: no attention across views (theirs is always on in SyncTweedies), the last step
//! ends at ᾱ = 1, fresh noise is scaled (theirs is not when η > 0).

mod steps;

pub use steps::TimeGrid;

use super::Finish;
use super::plan::{
    CanvasReg, Draw, Evaluate, Fusion, Medium, Op, Plan, Reg, ViewReg, estimate_clean, estimate_noise, mix, picture,
};
use super::transition::Transition;
use crate::error::{Error, Result};
use crate::rng::Purpose;
use crate::schedulers::{NoiseSchedule, StepCoefficients};

/// Which quantity is averaged on the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FuseAt {
    /// None: views know nothing of each other.
    Never,
    /// The noise estimate.
    Noise,
    /// The clean estimate.
    Clean,
    /// The next state.
    Next,
}

/// Where the state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateAt {
    /// One for each view.
    Views,
    /// On the canvas; views are projected from it.
    Canvas,
}

/// Where the noise estimate of the update comes from when the clean estimate was fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the state and the fused clean estimate (the authors' code, eq. 3 of StochSync).
    FusedClean,
    /// The network's own (StochSync, alg. 2).
    Network,
}

/// Where the first noise comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstNoise {
    /// Each view its own.
    Views,
    /// One canvas of noise that all views look at.
    Canvas,
}

/// All switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Synchronised {
    /// Which quantity is averaged.
    pub fuse_at: FuseAt,
    /// Where the state lives.
    pub state_at: StateAt,
    /// What the canvas holds. RGB is only meaningful for clean estimates.
    pub medium: Medium,
    /// Noise estimate of the update.
    pub direction: Direction,
    /// Where the first noise comes from. A state on the canvas begins with noise on the canvas.
    pub first_noise: FirstNoise,
    /// Timesteps.
    pub grid: TimeGrid,
    /// Share of fresh noise: 0 is DDIM, 1 is DDPM.
    pub eta: f64,
    /// Classifier-free guidance.
    pub guidance_scale: f64,
    /// Views are synchronised during this first share of the noise levels and finish apart; 1: to the end.
    pub synchronised_share: f64,
    /// First steps in which views with a region see a plain colour outside of it (MultiDiffusion's bootstrapping).
    pub bootstrap_steps: usize,
    /// How the picture is made of a latent canvas.
    pub finish: Finish,
}

impl Synchronised {
    /// A case of SyncTweedies, 0 to 6, with DDIM: `None` for another number.
    #[must_use]
    pub fn case(number: usize, grid: TimeGrid, guidance_scale: f64) -> Option<Self> {
        use FuseAt::{Clean, Never, Next, Noise};
        use StateAt::{Canvas, Views};
        let cases = [
            (Never, Views),
            (Noise, Views),
            (Clean, Views),
            (Next, Views),
            (Noise, Canvas),
            (Clean, Canvas),
            (Next, Canvas),
        ];
        let (fuse_at, state_at) = *cases.get(number)?;
        Some(Self {
            fuse_at,
            state_at,
            medium: Medium::Latent,
            direction: Direction::FusedClean,
            first_noise: FirstNoise::Canvas,
            grid,
            eta: 0.0,
            guidance_scale,
            synchronised_share: 1.0,
            bootstrap_steps: 0,
            finish: Finish::Views,
        })
    }

    /// SyncTweedies as its authors run it on panoramas: case 2 on RGB.
    #[must_use]
    pub fn sync_tweedies(grid: TimeGrid, guidance_scale: f64) -> Option<Self> {
        let case = Self::case(2, grid, guidance_scale)?;
        Some(Self { medium: Medium::Rgb, first_noise: FirstNoise::Views, ..case })
    }

    /// Whether every number is one that can be run.
    ///
    /// # Errors
    /// [`Error::Input`] with the first that is not.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, found: String, expected: &str| Err(Error::Input { what, found, expected: expected.into() });
        if !(0.0..=1.0).contains(&self.eta) {
            return refuse("eta", self.eta.to_string(), "0 (DDIM) to 1 (DDPM)");
        }
        if !self.guidance_scale.is_finite() {
            return refuse("cfg-scale", self.guidance_scale.to_string(), "a finite number");
        }
        if !(0.0..=1.0).contains(&self.synchronised_share) {
            return refuse("synchronised share", self.synchronised_share.to_string(), "0 to 1");
        }
        if self.bootstrap_steps > 0 && (self.fuse_at, self.state_at) != (FuseAt::Next, StateAt::Canvas) {
            let found = format!("{} with {:?} fused", self.bootstrap_steps, self.fuse_at);
            return refuse("bootstrap steps", found, "0 but for MultiDiffusion (case 6)");
        }
        let clean = matches!(self.fuse_at, FuseAt::Clean | FuseAt::Never) && self.state_at == StateAt::Views;
        if self.medium == Medium::Rgb && !clean {
            let found = format!("{:?} fused with the state at {:?}", self.fuse_at, self.state_at);
            return refuse(
                "RGB canvas",
                found,
                "clean estimates with the state at views (case 2): only they are pictures",
            );
        }
        Ok(())
    }

    /// The operations.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule) -> Result<Plan> {
        self.check()?;
        let steps = self.grid.transitions(noise, self.eta)?;
        let first = Draw::new(Purpose::Canvas, 0);
        let mut ops = vec![Op::Look { step: 0 }];
        match (self.state_at, self.first_noise) {
            (StateAt::Views, FirstNoise::Views) => ops.push(mix(ViewReg::State, 0.0, &[], Some((1.0, first)))),
            (StateAt::Views, FirstNoise::Canvas) => {
                let canvas = if self.medium == Medium::Rgb { CanvasReg::Fused } else { CanvasReg::Canvas };
                ops.push(mix(canvas, 0.0, &[], Some((1.0, first))));
                ops.push(Op::Project { from: canvas, to: ViewReg::State.into(), nearest: true });
            }
            (StateAt::Canvas, _) => ops.push(mix(CanvasReg::Canvas, 0.0, &[], Some((1.0, first)))),
        }
        if self.bootstrap_steps > 0 {
            ops.push(mix(CanvasReg::Fused, 0.0, &[(CanvasReg::Canvas.into(), 1.0)], None));
        }
        for (k, step) in steps.iter().enumerate() {
            if k > 0 {
                ops.push(Op::Look { step: k });
            }
            self.step(&mut ops, noise, k, step)?;
            ops.push(Op::EndStep { step: k });
        }
        // An RGB canvas that was synchronised to the end holds the last clean estimates already.
        let apart = self.fuse_at == FuseAt::Never || self.synchronised_share < 1.0;
        if self.medium == Medium::Latent || apart {
            picture(&mut ops, self.state_at == StateAt::Canvas, self.finish);
        }
        Ok(Plan::new(self.medium, ops))
    }

    fn step(&self, ops: &mut Vec<Op>, noise: &NoiseSchedule, k: usize, step: &Transition) -> Result<()> {
        let draw = Draw::new(Purpose::Step, k as u32);
        let train = noise.num_train_timesteps() as f64;
        let together = step.timestep as f64 > (1.0 - self.synchronised_share) * train || self.synchronised_share == 1.0;
        let fuse_at = if together { self.fuse_at } else { FuseAt::Never };
        if self.state_at == StateAt::Canvas {
            ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::State.into(), nearest: false });
            if k < self.bootstrap_steps {
                // The background is noised with the noise that the canvas began with.
                ops.push(Op::Project { from: CanvasReg::Fused, to: ViewReg::Known.into(), nearest: false });
                ops.push(Op::Background { draw: Draw::new(Purpose::Keep, k as u32) });
                let noise = [(Reg::from(ViewReg::Known), step.level.noise)];
                ops.push(mix(ViewReg::Kept, step.level.signal, &noise, None));
                ops.push(Op::Outside);
            }
        }
        let evaluate = |coefficients| Op::Evaluate(Evaluate::new(coefficients, self.guidance_scale, draw));
        let whole = step.coefficients(noise)?;
        match (fuse_at, self.state_at) {
            (FuseAt::Never, _) => ops.push(evaluate(whole)),
            (FuseAt::Next, at) => {
                ops.push(evaluate(whole));
                let to = if at == StateAt::Canvas { CanvasReg::Canvas } else { CanvasReg::Fused };
                ops.push(Op::Fuse { from: ViewReg::State.into(), to, fusion: Fusion::Average });
                if at == StateAt::Views {
                    ops.push(Op::Project { from: CanvasReg::Fused, to: ViewReg::State.into(), nearest: false });
                }
            }
            (quantity, StateAt::Canvas) => {
                ops.push(evaluate(self.estimate(noise, quantity, step)?));
                let fused = CanvasReg::Fused;
                ops.push(Op::Fuse { from: ViewReg::Clean.into(), to: fused, fusion: Fusion::Average });
                let [own, other] = step.update(quantity == FuseAt::Noise);
                let noisy = (step.sigma != 0.0).then_some((step.sigma, draw));
                ops.push(mix(CanvasReg::Canvas, own, &[(fused.into(), other)], noisy));
            }
            (quantity, StateAt::Views) => self.step_at_views(ops, noise, quantity, (step, draw))?,
        }
        Ok(())
    }

    /// Cases 1 and 2.
    fn step_at_views(
        &self,
        ops: &mut Vec<Op>,
        noise: &NoiseSchedule,
        quantity: FuseAt,
        (step, draw): (&Transition, Draw),
    ) -> Result<()> {
        let network = quantity == FuseAt::Clean && self.direction == Direction::Network;
        let coefficients = if network { step.network_direction(noise)? } else { self.estimate(noise, quantity, step)? };
        ops.push(Op::Evaluate(Evaluate::new(coefficients, self.guidance_scale, draw)));
        let canvas = CanvasReg::Canvas;
        ops.push(Op::Fuse { from: ViewReg::Clean.into(), to: canvas, fusion: Fusion::Average });
        if step.is_last() && self.medium == Medium::Rgb {
            return Ok(());
        }
        ops.push(Op::Project { from: canvas, to: ViewReg::Known.into(), nearest: false });
        let [own, other] = if network { [1.0, step.next.signal] } else { step.update(quantity == FuseAt::Noise) };
        let noisy = (step.sigma != 0.0).then_some((step.sigma, draw));
        ops.push(mix(ViewReg::State, own, &[(Reg::from(ViewReg::Known), other)], noisy));
        Ok(())
    }

    fn estimate(&self, noise: &NoiseSchedule, quantity: FuseAt, step: &Transition) -> Result<StepCoefficients> {
        Ok(match quantity {
            FuseAt::Noise => estimate_noise(noise, step.timestep)?,
            _ => estimate_clean(noise, step.timestep)?,
        })
    }
}
