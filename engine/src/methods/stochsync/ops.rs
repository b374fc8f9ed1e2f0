//! The method as operations.

use super::{BlendMask, OuterStep, StochSync};
use crate::error::Result;
use crate::methods::Medium;
use crate::methods::plan::{CanvasReg, Draw, Evaluate, Fusion, Op, Plan, Reg, ViewReg, mix, picture};
use crate::rng::Purpose;
use crate::schedulers::{Level, NoiseSchedule};

impl StochSync {
    /// The operations over `sets` view sets.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule, sets: usize) -> Result<Plan> {
        self.check(noise.num_train_timesteps())?;
        let schedule = self.schedule(noise)?;
        let mut ops = Vec::new();
        for (k, outer) in schedule.iter().enumerate() {
            ops.push(Op::Look { step: k });
            if self.max_stochasticity {
                self.renoise(&mut ops, noise, k, sets)?;
            } else {
                let first = Draw::new(Purpose::Initial, 0);
                if k == 0 {
                    ops.push(mix(ViewReg::State, 0.0, &[], Some((1.0, first))));
                }
                ops.push(mix(ViewReg::Kept, 0.0, &[(ViewReg::State.into(), 1.0)], None));
            }
            self.predict(&mut ops, outer, k);
            self.fuse(&mut ops, &schedule, k, sets);
            ops.push(Op::EndStep { step: k });
        }
        // One set has nothing to fade into: its views have just been fused.
        if self.feather && self.medium == Medium::Rgb && sets > 1 {
            ops.push(Op::Fuse { from: ViewReg::State.into(), to: CanvasReg::Picture, fusion: Fusion::Fade });
            if self.inpaint {
                ops.push(Op::Keep);
            }
        }
        if self.medium == Medium::Latent {
            picture(&mut ops, true, self.finish);
        }
        Ok(Plan::new(self.medium, ops))
    }

    /// The canvas as the views see it, at the step's level; or pure noise.
    fn renoise(&self, ops: &mut Vec<Op>, noise: &NoiseSchedule, k: usize, sets: usize) -> Result<()> {
        let draw = Draw::new(Purpose::Renoise, k as u32);
        let known = Reg::from(ViewReg::Known);
        let Some(t) = self.outer_timestep(noise, k)? else {
            if self.inpaint {
                ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::Known.into(), nearest: false });
            }
            ops.push(mix(ViewReg::State, 0.0, &[], Some((1.0, draw))));
            return Ok(());
        };
        let Level { signal, noise: sigma } = noise.level(t)?;
        ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::Known.into(), nearest: false });
        // The set has been decoded before, so what that lost is known.
        if self.corrects() && k >= sets {
            ops.push(mix(known, 1.0, &[(ViewReg::Residual(k % sets).into(), 1.0)], None));
        }
        ops.push(mix(ViewReg::State, 0.0, &[(known, signal)], Some((sigma, draw))));
        Ok(())
    }

    fn outer_timestep(&self, noise: &NoiseSchedule, k: usize) -> Result<Option<usize>> {
        Ok(self.outer_step(noise, k)?.timestep)
    }

    fn corrects(&self) -> bool {
        self.correct_encoding && self.medium == Medium::Rgb
    }

    /// The state becomes the clean prediction.
    fn predict(&self, ops: &mut Vec<Op>, outer: &OuterStep, k: usize) {
        let steps = &outer.plan.steps;
        for (i, coefficients) in steps.iter().enumerate() {
            let draw = Draw::new(Purpose::Step, (k * 1000 + i) as u32);
            ops.push(Op::Evaluate(Evaluate::new(*coefficients, self.guidance_scale, draw)));
            if self.inpaint && i + 1 < steps.len() {
                // What is kept stays on its own path, so that what is drawn grows out of it (RePaint, Lugmayr et al. 2022).
                let draw = Draw::new(Purpose::Keep, k as u32);
                ops.push(Op::KeepViews { level: coefficients.next_level, draw });
            }
            if outer.blend && i + 1 < steps.len() {
                ops.push(Op::Blend {
                    level: coefficients.next_level,
                    threshold: BlendMask::threshold(i, steps.len() + 1),
                    draw: Draw::new(Purpose::Keep, k as u32),
                });
            }
        }
    }

    /// The predictions into the canvas, and what the next step needs of it.
    fn fuse(&self, ops: &mut Vec<Op>, schedule: &[OuterStep], k: usize, sets: usize) {
        let overlap = self.feather && self.medium == Medium::Rgb;
        let fusion = if overlap { Fusion::Overlap } else { Fusion::Average };
        ops.push(Op::Fuse { from: ViewReg::State.into(), to: CanvasReg::Canvas, fusion });
        if self.inpaint {
            ops.push(Op::Keep);
        }
        let Some(next) = schedule.get(k + 1) else { return };
        let known = Reg::from(ViewReg::Known);
        if !self.max_stochasticity {
            ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::Known.into(), nearest: false });
            let level = |outer: &OuterStep| outer.plan.start_level();
            let (now, then) = (level(&schedule[k]), level(next));
            // DDIM with the noise estimate that belongs to the fused clean estimate.
            let own = then.noise / now.noise;
            let terms = [(ViewReg::Kept.into(), own), (known, then.signal - own * now.signal)];
            ops.push(mix(ViewReg::State, 0.0, &terms, None));
        } else if self.corrects() {
            ops.push(Op::Project { from: CanvasReg::Canvas, to: ViewReg::Known.into(), nearest: false });
            let terms = [(Reg::from(ViewReg::State), 1.0), (known, -1.0)];
            ops.push(mix(ViewReg::Residual(k % sets), 0.0, &terms, None));
        }
    }
}
