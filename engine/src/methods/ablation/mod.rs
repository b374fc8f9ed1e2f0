//! The rows of an ablation: StochSync's three switches one by one (table 2 of the paper), and the methods it is compared with.

use super::{Distillation, FirstNoise, OdeSolver, Plan, Preset, StochSync, Synchronised, TimeGrid};
use crate::error::Result;
use crate::schedulers::NoiseSchedule;
use crate::spaces::Interpolation;
use crate::spaces::panorama::ViewSet;

/// What a row runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Recipe {
    /// Maximum stochasticity, multi-step prediction, non-overlapping views.
    Switches([bool; 3]),
    /// A preset with everything it has.
    Preset,
    Independent,
    SyncTweedies,
    MultiDiffusion,
    Sds,
    Sdi,
    Ism,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Its name in files and on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// FID, IS, GIQA · 1000 and CLIP score of the StochSync paper on SD-2.1 (table 2; table 1 for the distillations).
    pub paper: Option<[f64; 4]>,
    recipe: Recipe,
}

const fn switches(
    name: &'static str,
    title: &'static str,
    paper: [f64; 4],
    (max, multi, apart): (bool, bool, bool),
) -> Row {
    Row { name, title, paper: Some(paper), recipe: Recipe::Switches([max, multi, apart]) }
}

const fn baseline(name: &'static str, title: &'static str, paper: Option<[f64; 4]>, recipe: Recipe) -> Row {
    Row { name, title, paper, recipe }
}

/// All rows.
#[rustfmt::skip] // One line per row.
pub const ROWS: &[Row] = &[
    switches("1", "synchronisation, 10 fixed views", [80.55, 8.65, 18.22, 30.07], (false, false, false)),
    switches("2", "+ maximum stochasticity", [138.82, 6.98, 15.68, 27.95], (true, false, false)),
    switches("3", "+ multi-step prediction", [84.87, 7.33, 19.06, 30.49], (false, true, false)),
    switches("4", "+ both", [78.56, 8.54, 18.44, 30.18], (true, true, false)),
    switches("5", "+ maximum stochasticity, views apart", [117.09, 7.56, 16.32, 28.75], (true, false, true)),
    switches("6", "+ all three: StochSync", [57.88, 10.02, 20.30, 31.01], (true, true, true)),
    baseline("preset", "StochSync, the preset of this model", None, Recipe::Preset),
    baseline("independent", "5 views, uncoupled", None, Recipe::Independent),
    baseline("multidiffusion", "MultiDiffusion on a latent canvas", None, Recipe::MultiDiffusion),
    baseline("synctweedies", "SyncTweedies, 8 views", None, Recipe::SyncTweedies),
    baseline("sds", "score distillation", Some([96.44, 8.21, 17.90, 30.87]), Recipe::Sds),
    baseline("sdi", "score distillation via inversion", Some([143.70, 8.08, 15.03, 29.12]), Recipe::Sdi),
    baseline("ism", "interval score matching", Some([114.32, 8.16, 17.08, 31.31]), Recipe::Ism),
];

/// Numbers that all rows share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AblationSettings {
    /// Side of a view in pixels.
    pub view_side: usize,
    /// Field of a view and what is used of it, in degrees.
    pub fov: [f64; 2],
    /// Outer steps of rows with one-step estimates, t from the first timestep to 0.
    pub one_step: usize,
    /// Outer steps of rows with multi-step predictions.
    pub multi_step: usize,
    /// Their time window.
    pub window: [f64; 2],
    /// Nodes of a multi-step prediction over the whole range.
    pub nodes: usize,
    /// Classifier-free guidance.
    pub guidance: f64,
    /// Guidance of SDS.
    pub sds_guidance: f64,
    /// Iterations of SDS, SDI and ISM.
    pub iterations: [usize; 3],
    /// Their learning rates.
    pub rates: [f64; 3],
    /// Height of the canvas; `None`: as views want it.
    pub height: Option<usize>,
    /// Seed of the distillations' timesteps and views.
    pub seed: u64,
    /// Preset of the row `preset`.
    pub preset: Preset,
}

impl AblationSettings {
    /// For a model with latents of `side`×`side`: the paper's, or for small latents a time window that reaches down to little
    /// noise (16×16 cells have no redundancy that would survive more) and iterations for a canvas of few texels.
    #[must_use]
    pub fn for_latents(side: usize, view_side: usize, seed: u64) -> Self {
        let preset = Preset::for_latents(side);
        let paper = Self {
            view_side,
            fov: [72.0, 72.0],
            one_step: 30,
            multi_step: 25,
            window: [900.0, 270.0],
            nodes: 25,
            guidance: 7.5,
            sds_guidance: 30.0,
            iterations: [10_000, 10_000, 2_000],
            rates: [0.1, 0.01, 0.03],
            height: None,
            seed,
            preset,
        };
        if side >= 32 {
            return paper;
        }
        Self {
            fov: [80.0, 72.0],
            one_step: 14,
            multi_step: 7,
            window: [800.0, 30.0],
            nodes: 10,
            guidance: 5.0,
            sds_guidance: 15.0,
            iterations: [80, 20, 24],
            rates: [0.1; 3],
            height: Some(512),
            ..paper
        }
    }
}

impl Row {
    /// The row of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        ROWS.iter().copied().find(|row| row.name == name)
    }

    /// The three switches, for rows that have them.
    #[must_use]
    pub fn switches(&self) -> Option<[bool; 3]> {
        if let Recipe::Switches(switches) = self.recipe { Some(switches) } else { None }
    }

    /// Whether the state lives on a latent canvas.
    #[must_use]
    pub fn is_latent(&self) -> bool {
        matches!(self.recipe, Recipe::MultiDiffusion | Recipe::Sds | Recipe::Sdi | Recipe::Ism)
    }

    /// Where its views look.
    #[must_use]
    pub fn views(&self, settings: &AblationSettings) -> ViewSet {
        match self.recipe {
            Recipe::Switches([.., false]) | Recipe::MultiDiffusion => ViewSet::Rings { sets: 1, views: 10 },
            Recipe::Switches([.., true]) | Recipe::Preset | Recipe::Independent => ViewSet::PAPER,
            Recipe::SyncTweedies => ViewSet::SYNC_TWEEDIES,
            Recipe::Sds | Recipe::Sdi | Recipe::Ism => turned_rings(settings.seed),
        }
    }

    /// How latent canvases are sampled: noise must not be averaged, a canvas that is optimised may.
    #[must_use]
    pub fn latent_interpolation(&self) -> Interpolation {
        if self.recipe == Recipe::MultiDiffusion { Interpolation::Nearest } else { Interpolation::Bilinear }
    }

    /// `[fov, used fov]` in degrees.
    #[must_use]
    pub fn fov(&self, settings: &AblationSettings) -> [f64; 2] {
        settings.fov
    }

    /// Its operations over `sets` view sets.
    ///
    /// # Errors
    /// When a number is refused.
    pub fn plan(&self, settings: &AblationSettings, noise: &NoiseSchedule, sets: usize) -> Result<Plan> {
        let s = settings;
        let first = noise.num_train_timesteps() as f64 - 1.0;
        let grid = TimeGrid::Linear { steps: s.one_step, first, last: 0.0 };
        let base = StochSync { guidance_scale: s.guidance, ..Preset::Official.method() };
        let synchronised = |case: Option<Synchronised>| match case {
            Some(case) => case.plan(noise),
            None => unreachable!("cases 0 to 6 exist"),
        };
        match self.recipe {
            Recipe::Switches([max, multi, _]) => {
                let [t_max, t_min] = if multi { s.window } else { [first, 0.0] };
                let method = StochSync {
                    steps: if multi { s.multi_step } else { s.one_step },
                    t_max,
                    t_min,
                    warmup_steps: 1,
                    seam_removal_steps: 0,
                    ode_steps: s.nodes,
                    solver: OdeSolver::Dpmpp2m,
                    max_stochasticity: max,
                    multi_step: multi,
                    ..base
                };
                method.plan(noise, sets)
            }
            Recipe::Preset => s.preset.method().plan(noise, sets),
            Recipe::Independent => StochSync { ode_steps: s.nodes, ..base }.independent(1).plan(noise, sets),
            Recipe::SyncTweedies => synchronised(Synchronised::sync_tweedies(grid, s.guidance)),
            Recipe::MultiDiffusion => {
                let case = Synchronised::case(6, grid, s.guidance);
                synchronised(case.map(|case| Synchronised { first_noise: FirstNoise::Canvas, ..case }))
            }
            Recipe::Sds => {
                let sds = Distillation::sds(s.iterations[0], s.seed);
                Distillation { guidance_scale: s.sds_guidance, rate: s.rates[0], ..sds }.plan(noise, sets)
            }
            Recipe::Sdi => {
                let sdi = Distillation::sdi(s.iterations[1], s.seed);
                Distillation { rate: s.rates[1], ..sdi }.plan(noise, sets)
            }
            Recipe::Ism => {
                let ism = Distillation::ism(s.iterations[2], s.seed);
                Distillation { rate: s.rates[2], ..ism }.plan(noise, sets)
            }
        }
    }
}

/// Set 0 is the ring that the picture is made from; the others are turned by any angle.
fn turned_rings(seed: u64) -> ViewSet {
    let turn = |set: u32| {
        let words = crate::rng::philox4x32_10([set, 0, 0, 7], [seed as u32, (seed >> 32) as u32]);
        if set == 0 { 0.0 } else { 360.0 * f64::from(words[0]) / 4_294_967_296.0 }
    };
    let ring = |set: u32| (0..5).map(|view| [turn(set) + 72.0 * f64::from(view), 0.0, 0.0]).collect();
    ViewSet::Custom((0..32).map(ring).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::PredictionType;

    #[test]
    fn every_row_has_a_plan() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        for settings in [AblationSettings::for_latents(16, 128, 1), AblationSettings::for_latents(64, 512, 1)] {
            let settings = AblationSettings { iterations: [20, 20, 20], ..settings };
            for row in ROWS {
                let plan = row.plan(&settings, &noise, 2).unwrap();
                assert!(plan.evaluations() > 0, "{}", row.name);
                assert_eq!(row.is_latent(), plan.medium == crate::methods::Medium::Latent, "{}", row.name);
            }
        }
        assert!(Row::named("6").is_some() && Row::named("7").is_none());
    }

    /// What a switch costs: multi-step predictions evaluate more often, views apart less.
    #[test]
    fn switches_do_what_they_say() {
        let noise = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
        let settings = AblationSettings::for_latents(16, 128, 1);
        let count = |name| Row::named(name).unwrap().plan(&settings, &noise, 1).unwrap().evaluations();
        assert_eq!((count("1"), count("2"), count("5")), (14, 14, 14));
        assert!(count("3") > 28 && count("3") == count("4") && count("4") == count("6"));
    }
}
