//! Samplers against the reference: every golden directory, and cases those lack.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use syncline::schedulers::{
    HistoryPlan, HistoryStep, Level, NoiseSchedule, NoiseScheduleConfig, PAST_OUTPUTS, PlanOptions, PredictionType,
    SamplerChoice, SamplingPlan, Start, StepCoefficients, TimestepSpacing, any_plan, dpmpp_2m_nodes,
};

/// Relative L2 of a module's output in f32.
const TOLERANCE: f64 = 3e-5;
type Tensors = BTreeMap<String, Vec<f32>>;

fn golden_directories() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut found: Vec<PathBuf> =
        fs::read_dir(root).map(|entries| entries.map(|e| e.unwrap().path()).collect()).unwrap_or_default();
    found.retain(|p| p.join("golden/expected.safetensors").exists());
    found.sort();
    found
}

fn read_sched(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors()
        .into_iter()
        .filter(|(name, _)| name.starts_with("sched."))
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4);
            let values = values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            (name, values.collect())
        })
        .collect()
}

/// The plan of a sampler by any name of the references.
fn plan_of(name: &str, schedule: &NoiseSchedule, options: &PlanOptions) -> HistoryPlan {
    let choice: SamplerChoice = if name == "dpmpp2m_karras" { "dpmpp2m karras" } else { name }.parse().unwrap();
    let sigma_schedule = choice.sigma_schedule.unwrap_or(options.sigma_schedule);
    any_plan(choice.method, schedule, &PlanOptions { sigma_schedule, ..*options }).unwrap()
}

fn without_history(plan: &SamplingPlan) -> HistoryPlan {
    let step = |s: &StepCoefficients| HistoryStep { step: *s, older_clean: 0.0, past_outs: [0.0; PAST_OUTPUTS] };
    HistoryPlan { init_noise_sigma: plan.init_noise_sigma, steps: plan.steps.iter().map(step).collect() }
}

/// One element's past: its clean estimates and outputs, latest first.
#[derive(Clone, Default)]
struct Past {
    clean: [f32; 2],
    outs: [f32; PAST_OUTPUTS],
}

/// One step of one element in f32, as a device computes it.
fn advance(step: &HistoryStep, x: f32, out: f32, noise: f32, past: &mut Past) -> f32 {
    let s = &step.step;
    let clean = s.clean_x as f32 * x + s.clean_out as f32 * out;
    let mut next = s.next_x as f32 * x
        + s.next_out as f32 * out
        + s.next_clean as f32 * clean
        + s.next_prev_clean as f32 * past.clean[0]
        + s.next_noise as f32 * noise
        + step.older_clean as f32 * past.clean[1];
    for (factor, out) in step.past_outs.iter().zip(past.outs) {
        next += *factor as f32 * out;
    }
    past.clean = [clean, past.clean[0]];
    past.outs.rotate_right(1);
    past.outs[0] = out;
    next
}

/// The states from x0 · init_noise_sigma on.
fn run_f32(plan: &HistoryPlan, inputs: &Tensors) -> Vec<f32> {
    let x0 = &inputs["sched.x0"];
    let n = x0.len();
    let mut x: Vec<f32> = x0.iter().map(|v| v * plan.init_noise_sigma as f32).collect();
    let mut past = vec![Past::default(); n];
    let mut all = x.clone();
    for (i, step) in plan.steps.iter().enumerate() {
        let at = |name: &str| inputs.get(name).map_or(&[][..], |t| &t[i * n..(i + 1) * n]);
        let out = at("sched.model_out");
        let noise = if step.step.next_noise == 0.0 { &[][..] } else { at("sched.euler_a.noise") };
        for j in 0..n {
            let noise = noise.get(j).copied().unwrap_or(0.0);
            x[j] = advance(step, x[j], out[j], noise, &mut past[j]);
        }
        all.extend_from_slice(&x);
    }
    all
}

fn relative_l2(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |v: f64| v * v;
    let difference: f64 = found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
    (difference / norm.max(1e-30)).sqrt()
}

/// What a tensor's name asks for: sched.<method>.<e|v>.<spacing>.<what>.
struct Asked<'a> {
    method: &'a str,
    prediction: PredictionType,
    spacing: TimestepSpacing,
    what: &'a str,
}

fn parse_name(name: &str) -> Asked<'_> {
    let parts: Vec<&str> = name.split('.').collect();
    let [_, method, prediction, spacing, what] = parts[..] else { panic!("unknown name {name}") };
    let prediction: PredictionType = match prediction {
        "e" => "epsilon",
        other => {
            assert_eq!(other, "v", "{name}");
            "v_prediction"
        }
    }
    .parse()
    .unwrap();
    Asked { method, prediction, spacing: spacing.parse().unwrap(), what }
}

fn evaluate(asked: &Asked, config: &NoiseScheduleConfig, inputs: &Tensors, len: usize) -> Vec<f32> {
    let config = NoiseScheduleConfig {
        prediction_type: asked.prediction,
        // The reference's DDIM and PNDM are told so whatever the file says; the others do not look at it.
        set_alpha_to_one: false,
        ..config.clone()
    };
    let schedule = NoiseSchedule::from_config(&config).unwrap();
    let digits = asked.what.trim_start_matches(|c: char| !c.is_ascii_digit());
    let states = len / inputs["sched.x0"].len();
    // PNDM runs one step twice.
    let repeated = usize::from(asked.method == "pndm");
    let steps = digits.parse().unwrap_or_else(|_| states - 1 - repeated);
    let options = PlanOptions { steps, spacing: Some(asked.spacing), ..PlanOptions::default() };
    let plan = plan_of(asked.method, &schedule, &options);
    let steps = plan.steps.iter().map(|s| s.step);
    match asked.what.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "timesteps" => steps.map(|s| s.timestep as f32).collect(),
        "sigmas" => steps.map(|s| s.level.sigma() as f32).chain([0.0]).collect(),
        "init_noise_sigma" => vec![plan.init_noise_sigma as f32],
        "x" => run_f32(&plan, inputs),
        other => panic!("unknown tensor {other}"),
    }
}

#[test]
fn every_golden_tensor_is_met() {
    let directories = golden_directories();
    assert!(!directories.is_empty(), "no golden directory found");
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    let mut compared = 0;
    for directory in directories {
        let inputs = read_sched(&directory.join("golden/inputs.safetensors"));
        let expected = read_sched(&directory.join("golden/expected.safetensors"));
        let config = fs::read(directory.join("scheduler/scheduler_config.json")).unwrap();
        let config: NoiseScheduleConfig = serde_json::from_slice(&config).unwrap();
        for (name, expected) in &expected {
            let asked = parse_name(name);
            let found = evaluate(&asked, &config, &inputs, expected.len());
            let error = relative_l2(&found, expected);
            assert!(error <= TOLERANCE, "{} {name}: relative L2 {error:e}", directory.display());
            if asked.what.starts_with("timesteps") {
                assert_eq!(&found, expected, "{} {name}", directory.display());
            }
            let row = format!("{}.{}", asked.method, asked.what.trim_end_matches(char::is_numeric));
            let entry = worst.entry(row).or_default();
            *entry = entry.max(error);
            compared += 1;
        }
    }
    println!("{compared} tensors compared");
    assert!(compared > 0);
    for (row, error) in worst {
        println!("{row:32} worst relative L2 {error:.1e}");
    }
}

/// Cases of the reference with three elements each: tests/golden/scheduler_cases.json. Its inputs are sines, so that the
/// file holds results only: x0(j) = cos 1.3 j, model output sin(1.7 i + 0.9 j + 0.2), noise sin(2.3 i + 1.1 j + 0.4).
fn reference() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/scheduler_cases.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn case_plan(case: &serde_json::Value) -> HistoryPlan {
    let text = |key: &str| case[key].as_str().unwrap();
    let prediction: PredictionType = text("prediction").parse().unwrap();
    let schedule = NoiseSchedule::from_config(&NoiseScheduleConfig {
        rescale_betas_zero_snr: case["rescale_betas_zero_snr"].as_bool().unwrap_or(false),
        ..NoiseScheduleConfig::stable_diffusion(prediction)
    })
    .unwrap();
    if let Some(nodes) = case["nodes"].as_array() {
        let nodes: Vec<usize> = nodes.iter().map(|t| t.as_u64().unwrap() as usize).collect();
        return without_history(&dpmpp_2m_nodes(&schedule, &nodes).unwrap());
    }
    let options = PlanOptions {
        steps: case["steps"].as_u64().unwrap() as usize,
        sigma_schedule: text("sigma_schedule").parse().unwrap(),
        spacing: Some(text("spacing").parse().unwrap()),
        eta: case["eta"].as_f64(),
        start: case["strength"].as_f64().map_or(Start::Noise, Start::Strength),
    };
    plan_of(text("method"), &schedule, &options)
}

/// The state a case starts from, after checking what the plan says of it.
fn case_start(case: &serde_json::Value, plan: &HistoryPlan, label: &str) -> [f64; 3] {
    let clean = [0.0, 1.3, 2.6].map(f64::cos);
    if case["strength"].is_null() {
        let init = case["init_noise_sigma"].as_f64().unwrap();
        assert!((plan.init_noise_sigma / init - 1.0).abs() < 1e-6, "{label}");
        return clean.map(|v| v * plan.init_noise_sigma);
    }
    let Level { signal, noise } = plan.steps[0].step.level;
    let eps = [0.4, 1.5, 2.6].map(f64::sin);
    let x = [0, 1, 2].map(|j| signal * clean[j] + noise * eps[j]);
    assert!(relative_l2(&x.map(|v| v as f32), &numbers(&case["start"])) < 1e-6, "{label}");
    x
}

/// Runs a case and returns the largest relative error of a state.
fn run_case(case: &serde_json::Value, plan: &HistoryPlan, label: &str) -> f64 {
    let mut x = case_start(case, plan, label).map(|v| v as f32);
    let mut past: [Past; 3] = Default::default();
    let (mut roundings, mut worst) = (0.0, 0f64);
    let size = |x: &[f32; 3]| x.iter().fold(0f32, |size, v| size.max(v.abs()));
    for (i, (step, expected)) in plan.steps.iter().zip(case["x"].as_array().unwrap()).enumerate() {
        // The reference computes x + (x - clean) / sigma · dt in f32: a step that shrinks the state (from sigma
        // 4096 with zero terminal SNR) leaves some roundings of the old size in the states that follow.
        roundings += f64::from(4.0 * f32::EPSILON * size(&x));
        for j in 0..3 {
            let (row, column) = (i as f64, j as f64);
            let out = (1.7 * row + 0.9 * column + 0.2).sin() as f32;
            let noise = (2.3 * row + 1.1 * column + 0.4).sin() as f32;
            x[j] = advance(step, x[j], out, noise, &mut past[j]);
        }
        let error = relative_l2(&x, &numbers(expected));
        let tolerance = TOLERANCE.max(roundings / f64::from(size(&x)));
        assert!(error <= tolerance, "{label} step {i}: relative L2 {error:e}");
        worst = worst.max(if tolerance > TOLERANCE { 0.0 } else { error });
    }
    worst
}

#[test]
fn every_reference_case_is_met() {
    let reference = reference();
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for case in reference["cases"].as_array().unwrap() {
        let plan = case_plan(case);
        let keys = ["method", "prediction", "spacing", "sigma_schedule", "strength"];
        let label = keys.map(|k| case[k].to_string()).join(" ");
        let timesteps: Vec<f32> = plan.steps.iter().map(|s| s.step.timestep as f32).collect();
        let expected = numbers(&case["timesteps"]);
        assert!(relative_l2(&timesteps, &expected) < 1e-6, "{label}: {timesteps:?} {expected:?}");
        let scales: Vec<f32> = plan.steps.iter().map(|s| s.step.input_scale as f32).collect();
        assert!(relative_l2(&scales, &numbers(&case["input_scale"])) < 1e-6, "{label}");
        let entry = worst.entry(case["method"].to_string()).or_default();
        *entry = entry.max(run_case(case, &plan, &label));
    }
    for (method, error) in worst {
        println!("{method:12} worst relative L2 {error:.1e}");
    }
}

#[test]
fn timesteps_equal_the_reference_for_many_step_counts() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    let mut compared = 0;
    for set in reference()["timesteps"].as_array().unwrap() {
        let text = |key: &str| set[key].as_str().unwrap();
        for row in set["rows"].as_array().unwrap() {
            let options = PlanOptions {
                steps: row[0].as_u64().unwrap() as usize,
                sigma_schedule: text("sigma_schedule").parse().unwrap(),
                spacing: Some(text("spacing").parse().unwrap()),
                ..PlanOptions::default()
            };
            let plan = plan_of(text("method"), &schedule, &options);
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for byte in plan.steps.iter().flat_map(|s| (s.step.timestep as u16).to_le_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
            assert_eq!(format!("{hash:016x}"), row[1].as_str().unwrap(), "{} {options:?}", text("method"));
            compared += 1;
        }
    }
    println!("{compared} timestep lists equal");
}
