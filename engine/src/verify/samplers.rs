//! `sched.<name>.<e or v>.<spacing>.<what>`: samplers alone, fed with given model outputs.

use super::data::Golden;
use crate::error::Result;
use crate::schedulers::{
    NoiseSchedule, NoiseScheduleConfig, PlanOptions, PredictionType, SamplingMethod, SamplingPlan, SigmaSchedule, plan,
};

/// The sampler a golden calls `name`; `None` for those that are not here.
pub(super) fn sampler(name: &str) -> Option<(SamplingMethod, SigmaSchedule)> {
    Some(match name {
        "ddim" => (SamplingMethod::Ddim, SigmaSchedule::Discrete),
        "euler" => (SamplingMethod::Euler, SigmaSchedule::Discrete),
        "euler_a" => (SamplingMethod::EulerA, SigmaSchedule::Discrete),
        "dpmpp2m" => (SamplingMethod::Dpmpp2m, SigmaSchedule::Discrete),
        "dpmpp2m_karras" => (SamplingMethod::Dpmpp2m, SigmaSchedule::Karras),
        _ => return None,
    })
}

/// The plan of `steps` steps; `prediction` is the model's own where it is `None`.
pub(super) fn make_plan(
    golden: &Golden,
    (method, sigma_schedule): (SamplingMethod, SigmaSchedule),
    prediction: Option<PredictionType>,
    spacing: &str,
    steps: usize,
) -> Result<SamplingPlan> {
    let config = NoiseScheduleConfig {
        prediction_type: prediction.unwrap_or(golden.schedule.prediction_type),
        // The reference's DDIM is told so whatever the file says; the others do not look at it.
        set_alpha_to_one: false,
        ..golden.schedule.clone()
    };
    let options = PlanOptions { steps, sigma_schedule, spacing: Some(spacing.parse()?), ..PlanOptions::default() };
    Ok(plan(method, &NoiseSchedule::from_config(&config)?, &options)?)
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
    let (Some(method), Some(prediction)) = (sampler(method), prediction(letter)) else { return Ok(None) };
    let digits = what.trim_start_matches(|c: char| !c.is_ascii_digit());
    let steps = digits.parse().unwrap_or(golden.meta.steps);
    let plan = make_plan(golden, method, Some(prediction), spacing, steps)?;
    let levels = plan.steps.iter();
    Ok(match what.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "timesteps" => Some(levels.map(|s| s.timestep as f32).collect()),
        "sigmas" => Some(levels.map(|s| s.level.sigma() as f32).chain([0.0]).collect()),
        "init_noise_sigma" => Some(vec![plan.init_noise_sigma as f32]),
        "x" => Some(states(golden, &plan)?),
        _ => None,
    })
}

/// All states from `sched.x0` times the initial sigma on, in f64 rounded to f32 after each step.
fn states(golden: &Golden, plan: &SamplingPlan) -> Result<Vec<f32>> {
    let x0 = golden.input("sched.x0")?.to_f32();
    let outputs = golden.input("sched.model_out")?.to_f32();
    let noise = if plan.draws_noise() { golden.input("sched.euler_a.noise")?.to_f32() } else { Vec::new() };
    let n = x0.len();
    let mut x: Vec<f32> = x0.iter().map(|&v| (f64::from(v) * plan.init_noise_sigma) as f32).collect();
    let mut previous = vec![0.0; n];
    let mut all = x.clone();
    for (i, step) in plan.steps.iter().enumerate() {
        let (outputs, noise) = (outputs.get(i * n..).unwrap_or(&[]), noise.get(i * n..).unwrap_or(&[]));
        if outputs.len() < n {
            return Err(golden.bad("sched.model_out", format!("too short for step {i}")));
        }
        for j in 0..n {
            let eps = noise.get(j).map_or(0.0, |&v| f64::from(v));
            let (next, clean) = step.advance(f64::from(x[j]), f64::from(outputs[j]), previous[j], eps);
            (x[j], previous[j]) = (next as f32, clean);
        }
        all.extend_from_slice(&x);
    }
    Ok(all)
}
