//! The method that the flags ask for.

use syncline::methods::ablation::AblationSettings;
use syncline::methods::{
    Csd, Distillation, Finish, FirstNoise, FuseAt, Medium, Optimiser, Plan, Preset, StateAt, StochSync, Synchronised,
    TimeGrid,
};
use syncline::schedulers::NoiseSchedule;

use crate::args::{MethodArgs, MethodName};
use crate::exit::Failure;

/// What a command's canvas asks of a method.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Where no flag names one.
    pub method: MethodName,
    /// Of StochSync, where no flag names one.
    pub preset: Preset,
    /// What the canvas of StochSync holds.
    pub medium: Medium,
    /// How a latent canvas becomes the picture.
    pub finish: Finish,
    /// Whether views can fade into each other: they have axes.
    pub feather: bool,
    /// Whether a mask keeps known content.
    pub inpaint: bool,
    /// Of timesteps that are drawn.
    pub seed: u64,
    /// Cells of a side of a view's latents.
    pub cells: usize,
}

/// A method with its switches.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// Which.
    pub name: MethodName,
    /// The preset whose numbers it began with.
    pub preset: Preset,
    kind: Kind,
    /// StochSync as the flags have it: the baseline of reports is its uncoupled form.
    base: StochSync,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    StochSync(StochSync),
    Synchronised(Synchronised),
    Distillation(Distillation),
    Csd(Csd),
}

impl Method {
    /// # Errors
    /// With code 2 for a flag that the method does not know.
    pub fn new(args: &MethodArgs, wish: Wish) -> anyhow::Result<Self> {
        let name = args.method.unwrap_or(wish.method);
        let preset = args.preset.unwrap_or(wish.preset);
        let base = stochsync(args, wish, preset);
        if !matches!(name, MethodName::StochSync | MethodName::Independent) {
            refuse_foreign(args, name)?;
        }
        if wish.inpaint && name != MethodName::StochSync {
            return Err(Failure::usage(format!(
                "method: found {}, expected stochsync: it alone keeps what a mask keeps",
                name.name()
            ))
            .into());
        }
        let kind = match name {
            MethodName::StochSync => Kind::StochSync(base.clone()),
            // The number of sets is known when the plan is made.
            MethodName::Independent => Kind::StochSync(uncoupled(&base, 1)),
            MethodName::SyncTweedies | MethodName::MultiDiffusion | MethodName::Case(_) => {
                Kind::Synchronised(synchronised(args, wish, name, base.guidance_scale)?)
            }
            MethodName::Sds | MethodName::Sdi | MethodName::Ism => Kind::Distillation(distillation(args, wish, name)),
            MethodName::Csd => Kind::Csd(csd(args, wish)),
        };
        Ok(Self { name, preset, kind, base })
    }

    /// Its operations over `sets` view sets.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, noise: &NoiseSchedule, sets: usize) -> syncline::Result<Plan> {
        match &self.kind {
            Kind::StochSync(_) if self.name == MethodName::Independent => uncoupled(&self.base, sets).plan(noise, sets),
            Kind::StochSync(method) => method.plan(noise, sets),
            Kind::Synchronised(method) => method.plan(noise),
            Kind::Distillation(method) => method.plan(noise, sets),
            Kind::Csd(method) => method.plan(noise, sets),
        }
    }

    /// The same views without any coupling.
    pub fn baseline(&self) -> Self {
        Self { name: MethodName::Independent, kind: Kind::StochSync(uncoupled(&self.base, 1)), ..self.clone() }
    }

    /// Whether a view's state lives from one step to the next, so that the views must stay where they are.
    pub fn keeps_views(&self) -> bool {
        match &self.kind {
            Kind::StochSync(method) => !method.max_stochasticity,
            Kind::Synchronised(method) => method.state_at == StateAt::Views,
            Kind::Distillation(_) | Kind::Csd(_) => false,
        }
    }

    /// Whether every step must see the whole canvas: what it leaves out would stay at a higher noise level.
    pub fn needs_all_views(&self) -> bool {
        matches!(self.kind, Kind::Synchronised(_)) || self.keeps_views()
    }

    /// Whether noise lies on the canvas, which bilinear sampling would smooth.
    pub fn has_noise_on_canvas(&self) -> bool {
        matches!(&self.kind, Kind::Synchronised(method) if method.state_at == StateAt::Canvas)
    }

    /// What its canvas holds.
    pub fn medium(&self) -> Medium {
        match &self.kind {
            Kind::StochSync(method) => method.medium,
            Kind::Synchronised(method) => method.medium,
            Kind::Distillation(_) | Kind::Csd(_) => Medium::Latent,
        }
    }

    /// Outer steps.
    pub fn steps(&self) -> usize {
        match &self.kind {
            Kind::StochSync(method) => method.steps,
            Kind::Synchronised(method) => method.grid.steps(),
            Kind::Distillation(method) => method.iterations,
            Kind::Csd(method) => method.iterations,
        }
    }

    /// Classifier-free guidance.
    pub fn guidance(&self) -> f64 {
        match &self.kind {
            Kind::StochSync(method) => method.guidance_scale,
            Kind::Synchronised(method) => method.guidance_scale,
            Kind::Distillation(method) => method.guidance_scale,
            Kind::Csd(method) => method.guidance_scale[0],
        }
    }

    /// StochSync's switches, when it is that.
    pub fn stochsync(&self) -> Option<&StochSync> {
        if let Kind::StochSync(method) = &self.kind { Some(method) } else { None }
    }

    /// The name in a picture's metadata.
    pub fn title(&self) -> String {
        match self.name {
            MethodName::StochSync => "StochSync".to_owned(),
            MethodName::SyncTweedies => "SyncTweedies".to_owned(),
            MethodName::MultiDiffusion => "MultiDiffusion".to_owned(),
            other => other.name().to_owned(),
        }
    }

    /// The sampler in a picture's metadata.
    pub fn sampler(&self) -> String {
        match &self.kind {
            Kind::StochSync(method) => format!("{:?}", method.solver),
            Kind::Synchronised(_) => "Ddim".to_owned(),
            Kind::Distillation(_) | Kind::Csd(_) => "Adam".to_owned(),
        }
    }

    /// All switches in words.
    pub fn switches(&self) -> String {
        match &self.kind {
            Kind::StochSync(method) => format!("{method:?}"),
            Kind::Synchronised(method) => format!("{method:?}"),
            Kind::Distillation(method) => format!("{method:?}"),
            Kind::Csd(method) => format!("{method:?}"),
        }
    }
}

fn stochsync(args: &MethodArgs, wish: Wish, preset: Preset) -> StochSync {
    let p = preset.method();
    let fresh = args.max_stochasticity.unwrap_or(p.max_stochasticity);
    let rgb = wish.medium == Medium::Rgb;
    StochSync {
        steps: args.steps.unwrap_or(p.steps),
        t_max: args.t_max.unwrap_or(p.t_max),
        t_min: args.t_min.unwrap_or(p.t_min),
        t_power: args.t_power.unwrap_or(p.t_power),
        // These three belong to fresh noise.
        warmup_steps: args.warmup_steps.unwrap_or(if fresh { p.warmup_steps } else { p.warmup_steps.min(1) }),
        seam_removal_steps: args.seam_removal_steps.unwrap_or(if fresh { p.seam_removal_steps } else { 0 }),
        correct_encoding: args.correct_encoding.unwrap_or(p.correct_encoding && fresh && rgb),
        ode_steps: args.ode_steps.unwrap_or(p.ode_steps),
        min_ode_steps: args.min_ode_steps.unwrap_or(p.min_ode_steps),
        guidance_scale: args.cfg_scale.unwrap_or(p.guidance_scale),
        feather: args.feather.unwrap_or(p.feather && wish.feather && rgb),
        max_stochasticity: fresh,
        multi_step: args.multi_step.unwrap_or(p.multi_step),
        medium: wish.medium,
        finish: wish.finish,
        inpaint: wish.inpaint,
        ..p
    }
}

/// Pictures of each view on its own, from fresh noise.
fn uncoupled(base: &StochSync, sets: usize) -> StochSync {
    let fresh = StochSync { max_stochasticity: true, multi_step: true, medium: Medium::Rgb, ..base.clone() };
    fresh.independent(sets)
}

fn synchronised(args: &MethodArgs, wish: Wish, name: MethodName, guidance: f64) -> anyhow::Result<Synchronised> {
    let steps = args.steps.unwrap_or(if name == MethodName::MultiDiffusion { 50 } else { 30 });
    let grid = TimeGrid::Leading { steps };
    let found = match name {
        MethodName::SyncTweedies => Synchronised::sync_tweedies(grid, guidance),
        MethodName::MultiDiffusion => Synchronised::case(6, grid, guidance),
        MethodName::Case(number) => Synchronised::case(usize::from(number), grid, guidance),
        _ => None,
    };
    let Some(method) = found else { return Err(Failure::usage(format!("method: no case {}", name.name())).into()) };
    let first_noise = if method.fuse_at == FuseAt::Never { FirstNoise::Views } else { method.first_noise };
    Ok(Synchronised { finish: wish.finish, first_noise, ..method })
}

fn distillation(args: &MethodArgs, wish: Wish, name: MethodName) -> Distillation {
    let own = AblationSettings::for_latents(wish.cells, 0, wish.seed);
    let number = match name {
        MethodName::Sdi => 1,
        MethodName::Ism => 2,
        _ => 0,
    };
    let iterations = args.steps.unwrap_or(own.iterations[number]);
    let method = match name {
        MethodName::Sdi => Distillation::sdi(iterations, wish.seed),
        MethodName::Ism => Distillation::ism(iterations, wish.seed),
        _ => Distillation { guidance_scale: own.sds_guidance, ..Distillation::sds(iterations, wish.seed) },
    };
    let guidance_scale = args.cfg_scale.unwrap_or(method.guidance_scale);
    Distillation { guidance_scale, rate: own.rates[number], ..method }
}

/// Score distillation as for `sds`, by views that see each other.
fn csd(args: &MethodArgs, wish: Wish) -> Csd {
    let own = AblationSettings::for_latents(wish.cells, 0, wish.seed);
    let iterations = args.steps.unwrap_or(own.iterations[0]);
    let optimiser = Optimiser::Adam { rate: own.rates[0], warmup: iterations / 100 };
    let guidance_scale = [args.cfg_scale.unwrap_or(own.sds_guidance), 1.0];
    Csd { optimiser, guidance_scale, finish: Some(wish.finish), ..Csd::generation(iterations, wish.seed) }
}

/// A switch that would change nothing must not look as if it did.
fn refuse_foreign(args: &MethodArgs, name: MethodName) -> Result<(), Failure> {
    let given = [
        ("--preset", args.preset.is_some()),
        ("--t-max", args.t_max.is_some()),
        ("--t-min", args.t_min.is_some()),
        ("--t-power", args.t_power.is_some()),
        ("--warmup-steps", args.warmup_steps.is_some()),
        ("--seam-removal-steps", args.seam_removal_steps.is_some()),
        ("--ode-steps", args.ode_steps.is_some()),
        ("--min-ode-steps", args.min_ode_steps.is_some()),
        ("--max-stochasticity", args.max_stochasticity.is_some()),
        ("--multi-step", args.multi_step.is_some()),
        ("--feather", args.feather.is_some()),
        ("--correct-encoding", args.correct_encoding.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("{flag} is a switch of --method stochsync; found --method {}", name.name())))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches, ValueEnum};

    use super::*;

    fn args(words: &[&str]) -> MethodArgs {
        let command = MethodArgs::augment_args(clap::Command::new("test"));
        MethodArgs::from_arg_matches(&command.get_matches_from([&["test"], words].concat())).unwrap()
    }

    fn wish() -> Wish {
        let (method, preset) = (MethodName::StochSync, Preset::Small);
        Wish {
            method,
            preset,
            medium: Medium::Rgb,
            finish: Finish::Views,
            feather: true,
            inpaint: false,
            seed: 0,
            cells: 16,
        }
    }

    #[test]
    fn every_method_has_a_plan() {
        let noise = NoiseSchedule::stable_diffusion(syncline::schedulers::PredictionType::Epsilon);
        for name in MethodName::value_variants() {
            let method = Method::new(&args(&["--method", name.name(), "--steps", "4"]), wish()).unwrap();
            let plan = method.plan(&noise, 2).unwrap();
            assert!(plan.evaluations() > 0, "{name:?}");
            assert_eq!(method.steps() == 4, *name != MethodName::Independent, "{name:?}");
        }
    }

    #[test]
    fn switches_of_another_method_are_refused() {
        let refused = Method::new(&args(&["--method", "sds", "--t-max", "3"]), wish()).unwrap_err().to_string();
        assert_eq!(refused, "--t-max is a switch of --method stochsync; found --method sds");
        let inpaint = Wish { inpaint: true, ..wish() };
        assert!(Method::new(&args(&["--method", "case6"]), inpaint).is_err());
        // Without fresh noise the preset's treatments that need it are off, unless they are asked for.
        let plain = Method::new(&args(&["--max-stochasticity", "false"]), wish()).unwrap();
        assert!(plain.keeps_views() && !plain.stochsync().unwrap().correct_encoding);
    }
}
