//! Names people write, and what they are told when a request is wrong.

use super::super::*;

fn message(method: SamplingMethod, options: PlanOptions) -> String {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    plan(method, &schedule, &options).unwrap_err().to_string()
}

const BASE: PlanOptions =
    PlanOptions { steps: 10, sigma_schedule: SigmaSchedule::Discrete, spacing: None, eta: None, start: Start::Noise };
const DDIM: SamplingMethod = SamplingMethod::Ddim;

#[test]
fn bad_step_counts_say_what_fits() {
    for steps in [0, 1001] {
        let text = message(DDIM, PlanOptions { steps, ..BASE });
        assert_eq!(text, format!("steps: found {steps}, expected 1 to 1000"));
    }
    let leading = PlanOptions { steps: 1000, spacing: Some(TimestepSpacing::Leading), ..BASE };
    assert_eq!(message(SamplingMethod::Dpmpp2m, leading), "steps: found 1000, expected 1 to 999");
    let text = message(DDIM, leading);
    assert!(text.starts_with("timestep: found 1000, expected 0 to 999"), "{text}");
}

#[test]
fn bad_options_say_what_was_found_and_expected() {
    for strength in [0.0, -0.5, 1.5, 0.05, f64::NAN] {
        let text = message(DDIM, PlanOptions { start: Start::Strength(strength), ..BASE });
        let expected = format!("strength: found {strength}, expected more than 0");
        assert!(text.starts_with(&expected), "{text}");
    }
    let text = message(DDIM, PlanOptions { start: Start::Index(10), ..BASE });
    assert_eq!(text, "first step: found 10, expected 0 to 9");
    for eta in [-0.1, 1.1, f64::NAN] {
        let text = message(DDIM, PlanOptions { eta: Some(eta), ..BASE });
        assert_eq!(text, format!("eta: found {eta}, expected a number from 0 to 1"));
    }
    let text = message(DDIM, PlanOptions { sigma_schedule: SigmaSchedule::Karras, ..BASE });
    assert!(text.starts_with("ddim with the karras sigma schedule: expected discrete"), "{text}");
}

#[test]
fn samplers_with_history_refuse_what_they_cannot_do() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Sample);
    let text = history_plan(HistoryMethod::Pndm, &schedule, &BASE).unwrap_err().to_string();
    let expected = "expected epsilon or v_prediction for PNDM";
    assert_eq!(text, format!("scheduler config, key \"prediction_type\": found sample, {expected}"));
    let karras = PlanOptions { sigma_schedule: SigmaSchedule::Karras, ..BASE };
    assert!(history_plan(HistoryMethod::Pndm, &schedule, &karras).is_err());
    assert!(history_plan(HistoryMethod::UniPc, &schedule, &karras).is_ok());
    assert!(message(SamplingMethod::Pndm, BASE).contains("several steps back"));
    let none = PlanOptions { steps: 0, ..BASE };
    assert!(matches!(
        history_plan(HistoryMethod::UniPc, &schedule, &none),
        Err(SchedulerError::Steps { found: 0, min: 1, max: 1000 })
    ));
}

#[test]
fn bad_node_lists_are_refused() {
    let schedule = NoiseSchedule::stable_diffusion(PredictionType::Epsilon);
    for nodes in [&[][..], &[5, 5], &[3, 9], &[1000, 2]] {
        assert!(dpmpp_2m_nodes(&schedule, nodes).is_err(), "{nodes:?}");
        assert!(ddim_nodes(&schedule, nodes, GridEnd::Clean).is_err(), "{nodes:?}");
    }
    let error = ddim_nodes(&schedule, &[7], GridEnd::AtLastNode).unwrap_err();
    assert_eq!(error, SchedulerError::Nodes { index: 1, found: 7, needed: 2 });
}

#[test]
fn an_epsilon_model_cannot_start_without_signal() {
    let config = NoiseScheduleConfig {
        rescale_betas_zero_snr: true,
        ..NoiseScheduleConfig::stable_diffusion(PredictionType::Epsilon)
    };
    let schedule = NoiseSchedule::from_config(&config).unwrap();
    let trailing = PlanOptions { spacing: Some(TimestepSpacing::Trailing), ..BASE };
    let error = plan(DDIM, &schedule, &trailing).unwrap_err();
    assert!(matches!(error, SchedulerError::NoSignal { timestep: 999, .. }), "{error}");
}

#[test]
fn bad_configurations_name_the_key() {
    let sd = || NoiseScheduleConfig::stable_diffusion(PredictionType::Epsilon);
    let cases = [
        ("num_train_timesteps", NoiseScheduleConfig { num_train_timesteps: 1, ..sd() }),
        ("beta_start", NoiseScheduleConfig { beta_start: 0.0, ..sd() }),
        ("beta_end", NoiseScheduleConfig { beta_end: f64::NAN, ..sd() }),
        ("trained_betas", NoiseScheduleConfig { trained_betas: Some(vec![0.1, 1.5]), ..sd() }),
    ];
    for (expected, config) in cases {
        match NoiseSchedule::from_config(&config) {
            Err(SchedulerError::Config { key, .. }) => assert_eq!(key, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    let unknown = serde_json::from_str::<NoiseScheduleConfig>(r#"{"beta_schedule": "sigmoid"}"#);
    assert!(unknown.unwrap_err().to_string().contains("scaled_linear"));
}

#[test]
fn samplers_of_all_dialects_are_read_and_ours_are_printed() {
    let dialects = [
        (DDIM, "ddim; DDIM; DDIMScheduler; ddim_trailing; ddim_uniform"),
        (SamplingMethod::Euler, "euler; Euler; EulerDiscreteScheduler; Euler Karras"),
        (SamplingMethod::EulerA, "euler_a; euler_ancestral; Euler a; EulerAncestralDiscreteScheduler"),
        (SamplingMethod::Dpmpp2m, "dpm++2m; dpmpp_2m; DPM++ 2M; DPM++ 2M Karras; DPMSolverMultistepScheduler"),
        (SamplingMethod::Ddpm, "ddpm; DDPM; DDPMScheduler"),
        (SamplingMethod::Heun, "heun; Heun; HeunDiscreteScheduler; k_heun"),
        (SamplingMethod::Lcm, "lcm; LCM; LCMScheduler"),
        (SamplingMethod::UniPc, "unipc; UniPC; uni_pc; uni_pc_bh2; UniPCMultistepScheduler"),
        (SamplingMethod::Pndm, "pndm; PLMS; PNDMScheduler"),
    ];
    for (method, names) in dialects {
        for name in names.split("; ") {
            assert_eq!(name.parse::<SamplerChoice>().unwrap().method, method, "{name}");
        }
        assert_eq!(method.to_string().parse(), Ok(method));
    }
    let choice: SamplerChoice = "DPM++ 2M Karras".parse().unwrap();
    assert_eq!(choice.sigma_schedule, Some(SigmaSchedule::Karras));
    let choice: SamplerChoice = "ddim_trailing".parse().unwrap();
    assert_eq!(choice.spacing, Some(TimestepSpacing::Trailing));
    let error = "plasma".parse::<SamplerChoice>().unwrap_err().to_string();
    let expected = "ddim, ddim_trailing, euler, euler_a, heun, dpm++2m, ddpm, unipc, pndm, lcm";
    assert_eq!(error, format!("sampler: found \"plasma\", expected one of {expected}"));
}

#[test]
fn schedules_of_all_dialects_are_read() {
    let schedules = [
        ("discrete", SigmaSchedule::Discrete, None),
        ("normal", SigmaSchedule::Discrete, Some(TimestepSpacing::Linspace)),
        ("SGM Uniform", SigmaSchedule::Discrete, Some(TimestepSpacing::Trailing)),
        ("simple", SigmaSchedule::Discrete, Some(TimestepSpacing::Trailing)),
        ("Karras", SigmaSchedule::Karras, None),
        ("use_exponential_sigmas", SigmaSchedule::Exponential, None),
    ];
    for (name, sigma_schedule, spacing) in schedules {
        assert_eq!(name.parse(), Ok(ScheduleChoice { sigma_schedule, spacing }), "{name}");
    }
    for prediction in [PredictionType::Epsilon, PredictionType::VPrediction, PredictionType::Sample] {
        assert_eq!(prediction.to_string().parse(), Ok(prediction));
    }
}
