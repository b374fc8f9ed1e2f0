//! `sched.<name>.<e or v>.<spacing>.<what>`: samplers alone, fed with given model outputs.

use super::data::Golden;
use crate::error::Result;
use crate::schedulers::{
    HistoryPlan, HistoryStep, NoiseSchedule, NoiseScheduleConfig, PAST_OUTPUTS, PlanOptions, PredictionType,
    SamplingMethod, SigmaSchedule, any_plan,
};

/// The sampler a golden calls `name`; `None` for those that are not here.
pub(super) fn sampler(name: &str) -> Option<(SamplingMethod, SigmaSchedule)> {
    match name.strip_suffix("_karras") {
        Some(name) => name.parse().ok().map(|method| (method, SigmaSchedule::Karras)),
        None => name.parse().ok().map(|method| (method, SigmaSchedule::Discrete)),
    }
}

/// The plan of `steps` steps; `prediction` is the model's own where it is `None`.
pub(super) fn make_plan(
    golden: &Golden,
    (method, sigma_schedule): (SamplingMethod, SigmaSchedule),
    prediction: Option<PredictionType>,
    spacing: &str,
    steps: usize,
) -> Result<HistoryPlan> {
    let config = NoiseScheduleConfig {
        prediction_type: prediction.unwrap_or(golden.schedule.prediction_type),
        // The reference's DDIM and PNDM are told so whatever the file says; the others do not look at it.
        set_alpha_to_one: false,
        ..golden.schedule.clone()
    };
    let schedule = NoiseSchedule::from_config(&config)?;
    let spacing = Some(spacing.parse()?);
    let options = PlanOptions { steps, spacing, sigma_schedule, ..PlanOptions::default() };
    Ok(any_plan(method, &schedule, &options)?)
}

/// Whether any step draws fresh noise.
pub(super) fn draws_noise(plan: &HistoryPlan) -> bool {
    plan.steps.iter().any(|s| s.step.next_noise != 0.0)
}

/// A state that a plan moves on: arithmetic in f64, rounded to f32 after each step as a device stores it.
#[derive(Debug)]
pub(super) struct State {
    pub x: Vec<f32>,
    /// Clean estimates of the last two steps, latest first.
    clean: [Vec<f64>; 2],
    /// Model outputs of the last steps, latest first.
    outs: [Vec<f64>; PAST_OUTPUTS],
}

impl State {
    /// Unit noise scaled to the plan's first level.
    pub fn new(plan: &HistoryPlan, noise: &[f32]) -> Self {
        let zeros = || vec![0.0; noise.len()];
        Self {
            x: noise.iter().map(|&v| (f64::from(v) * plan.init_noise_sigma) as f32).collect(),
            clean: [zeros(), zeros()],
            outs: std::array::from_fn(|_| zeros()),
        }
    }

    /// One step; `noise` may be empty where the step draws none.
    pub fn advance(&mut self, step: &HistoryStep, outputs: &[f64], noise: &[f32]) {
        let mut clean = vec![0.0; self.x.len()];
        for (j, &out) in outputs.iter().enumerate() {
            let eps = noise.get(j).map_or(0.0, |&v| f64::from(v));
            let (mut next, estimate) = step.step.advance(f64::from(self.x[j]), out, self.clean[0][j], eps);
            next += step.older_clean * self.clean[1][j];
            next += step.past_outs.iter().zip(&self.outs).map(|(factor, past)| factor * past[j]).sum::<f64>();
            (self.x[j], clean[j]) = (next as f32, estimate);
        }
        self.clean.rotate_right(1);
        self.clean[0] = clean;
        self.outs.rotate_right(1);
        self.outs[0] = outputs.to_vec();
    }
}

fn prediction(letter: &str) -> Option<PredictionType> {
    match letter {
        "e" => Some(PredictionType::Epsilon),
        "v" => Some(PredictionType::VPrediction),
        _ => None,
    }
}

/// The tensor of that name; `None` when the sampler or the name is not known.
pub(super) fn compute(golden: &Golden, name: &str) -> Result<Option<Vec<f32>>> {
    let parts: Vec<&str> = name.split('.').collect();
    let [_, method, letter, spacing, what] = parts[..] else { return Ok(None) };
    let (Some(which), Some(prediction)) = (sampler(method), prediction(letter)) else { return Ok(None) };
    let digits = what.trim_start_matches(|c: char| !c.is_ascii_digit());
    let steps = digits.parse().unwrap_or(golden.meta.steps);
    let plan = make_plan(golden, which, Some(prediction), spacing, steps)?;
    let levels = plan.steps.iter().map(|s| s.step);
    Ok(match what.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "timesteps" => Some(levels.map(|s| s.timestep as f32).collect()),
        "sigmas" => Some(levels.map(|s| s.level.sigma() as f32).chain([0.0]).collect()),
        "init_noise_sigma" => Some(vec![plan.init_noise_sigma as f32]),
        "x" => Some(states(golden, &plan)?),
        _ => None,
    })
}

/// All states from `sched.x0` times the initial sigma on.
fn states(golden: &Golden, plan: &HistoryPlan) -> Result<Vec<f32>> {
    let x0 = golden.input("sched.x0")?.to_f32();
    let outputs: Vec<f64> = golden.input("sched.model_out")?.to_f32().into_iter().map(f64::from).collect();
    let noise = if draws_noise(plan) { golden.input("sched.euler_a.noise")?.to_f32() } else { Vec::new() };
    let n = x0.len();
    let mut state = State::new(plan, &x0);
    let mut all = state.x.clone();
    for (i, step) in plan.steps.iter().enumerate() {
        let Some(out) = outputs.get(i * n..(i + 1) * n) else {
            return Err(golden.bad("sched.model_out", format!("too short for step {i}")));
        };
        state.advance(step, out, noise.get(i * n..).unwrap_or(&[]));
        all.extend_from_slice(&state.x);
    }
    Ok(all)
}
