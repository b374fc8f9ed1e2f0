//! Plans run on one number in f64, with Gaussian models.

use super::*;
use crate::methods::SyncSde;
use crate::methods::plan::Mix;
use crate::rng::NoiseKey;
use crate::schedulers::{DynamicShift, Level, NoiseSchedule, PredictionType};

/// Registers of one element; the models of the branches are N(mean, deviation²).
pub(in crate::methods) struct Machine {
    pub(in crate::methods) registers: std::collections::BTreeMap<Reg, f64>,
    pub(in crate::methods) canvas: f64,
    pub(in crate::methods) means: [f64; 2],
    pub(in crate::methods) deviation: f64,
    pub(in crate::methods) element: usize,
    /// D after each edit step.
    pub(in crate::methods) differences: Vec<f64>,
}

impl Machine {
    pub(in crate::methods) fn new(picture: f64, means: [f64; 2], deviation: f64, element: usize) -> Self {
        let registers = std::collections::BTreeMap::new();
        Self { registers, canvas: picture, means, deviation, element, differences: Vec::new() }
    }

    fn get(&self, reg: Reg) -> f64 {
        self.registers.get(&reg).copied().unwrap_or(f64::NAN)
    }

    fn noise(&self, draw: Draw) -> f64 {
        let key = NoiseKey { seed: 7, purpose: draw.purpose, trajectory: 0, view: 0, step: draw.step };
        f64::from(key.block((self.element / 4) as u32)[self.element % 4])
    }

    fn branch(reg: Reg, branches: usize) -> Reg {
        match reg {
            // A plan of one branch may name it either way.
            Reg::View(view) if branches == 1 => Reg::Branch(view, 0),
            other => other,
        }
    }

    /// Runs the plan; returns the canvas.
    pub(in crate::methods) fn run(&mut self, plan: &Plan) -> f64 {
        for op in &plan.ops {
            match *op {
                Op::Project { to, .. } => {
                    self.registers.insert(to, self.canvas);
                }
                Op::Fuse { from, .. } => self.canvas = self.get(from),
                Op::Mix(mix) => self.mix(&mix, plan.branches),
                Op::Evaluate(evaluate) => self.evaluate(&evaluate, plan.branches),
                Op::EditStep(step) => self.edit(&step),
                _ => {}
            }
        }
        self.canvas
    }

    fn mix(&mut self, mix: &Mix, branches: usize) {
        let at = |reg| Self::branch(reg, branches);
        let mut value = if mix.own == 0.0 { 0.0 } else { mix.own * self.get(at(mix.target)) };
        value += mix.terms.iter().flatten().map(|(reg, factor)| factor * self.get(at(*reg))).sum::<f64>();
        if mix.sigma != 0.0 {
            value += mix.sigma * self.noise(mix.draw);
        }
        self.registers.insert(at(mix.target), value);
    }

    fn evaluate(&mut self, evaluate: &Evaluate, branches: usize) {
        let (state, clean) = (ViewReg::State, ViewReg::Clean);
        let c = &evaluate.coefficients;
        let x = self.get(Reg::Branch(state, evaluate.model));
        // A plan of one branch has the target's model.
        let mean = self.means[if branches == 1 { 1 } else { evaluate.model }];
        let Level { signal, noise } = c.level;
        let gain = signal * self.deviation.powi(2) / ((signal * self.deviation).powi(2) + noise * noise);
        let estimate = mean + gain * (x - signal * mean);
        let out = (estimate - c.clean_x * x) / c.clean_out;
        let xi = if c.next_noise == 0.0 { 0.0 } else { self.noise(evaluate.draw) };
        let (next, estimate) = c.advance(x, out, 0.0, xi);
        self.registers.insert(Reg::Branch(state, evaluate.model), next);
        self.registers.insert(Reg::Branch(clean, evaluate.model), estimate);
    }

    fn edit(&mut self, step: &EditStep) {
        let kept = Reg::Branch(ViewReg::Kept, 0);
        let [own, clean] = step.difference;
        let mut d = if own == 0.0 { 0.0 } else { own * self.get(kept) };
        if clean != 0.0 {
            d += clean * (self.get(Reg::Branch(ViewReg::Clean, 1)) - self.get(Reg::Branch(ViewReg::Clean, 0)));
        }
        let [own, known] = step.source;
        let mut s = known * self.get(PICTURE) + step.sigma * self.noise(step.draw);
        if own != 0.0 {
            s += own * self.get(Reg::Branch(ViewReg::State, 0));
        }
        self.registers.insert(kept, d);
        self.registers.insert(Reg::Branch(ViewReg::State, 0), s);
        self.registers.insert(Reg::Branch(ViewReg::State, 1), s + step.gamma * d);
        self.differences.push(d);
    }
}

fn flux() -> EditGrid {
    EditGrid::flow(&DynamicShift::FLUX, 4096, 28).unwrap()
}

fn schedule() -> NoiseSchedule {
    NoiseSchedule::stable_diffusion(PredictionType::Epsilon)
}

/// What one element with this picture becomes.
fn edited(plan: &Plan, picture: f64, element: usize) -> f64 {
    Machine::new(picture, [0.0, 1.0], 1.0, element).run(plan)
}

#[test]
fn flow_edit_is_the_closed_form() {
    let plan = FlowEdit::published(28, 4, [1.0; 2]).plan(&flux()).unwrap();
    for (picture, element) in [(0.37, 0), (-2.0, 9)] {
        let difference = edited(&plan, picture, element) - picture;
        assert!((difference - 0.950_682_720).abs() < 1e-9, "{difference}");
    }
}

/// The noise cancels for Gaussians, so averaging changes nothing; and it must not change more than that.
#[test]
fn averaging_noises_is_the_same_mean() {
    for n_avg in [2, 3] {
        let method = FlowEdit { n_avg, ..FlowEdit::published(28, 4, [1.0; 2]) };
        let plan = method.plan(&flux()).unwrap();
        let difference = edited(&plan, 0.37, 3) - 0.37;
        assert!((difference - 0.950_682_720).abs() < 1e-9, "{n_avg}: {difference}");
        assert_eq!(plan.evaluations(), 2 * 24 * n_avg);
    }
    // Ordinary sampling at the end starts from the edit, noised: what comes out is near the target's mean.
    let sampled = FlowEdit { n_min: 8, ..FlowEdit::published(28, 4, [1.0; 2]) }.plan(&flux()).unwrap();
    assert_eq!(sampled.evaluations(), 2 * 16 + 8);
    assert!((edited(&sampled, 0.37, 3) - 1.0).abs() < 3.0);
}

/// DDS of Gaussians N(m, d²): ε̂_t - ε̂_s = a σ / (a² d² + σ²) (D - (m_t - m_s)), so D falls towards the means' difference by known
/// factors.
#[test]
fn dds_goes_to_the_difference_of_means() {
    let method = Dds { guidance: [1.0; 2], rate: 0.3, iterations: 40, ..Dds::published(3) };
    let plan = method.plan(&schedule()).unwrap();
    let mut machine = Machine::new(0.8, [0.2, 1.1], 0.5, 5);
    let result = machine.run(&plan);
    let mut left = 0.9;
    let mut expected = vec![0.0];
    for op in &plan.ops {
        let Op::Evaluate(e) = op else { continue };
        if e.model == 0 {
            let Level { signal, noise } = e.coefficients.level;
            left *= 1.0 - 0.3 * signal * noise / (signal * signal * 0.25 + noise * noise);
            expected.push(0.9 - left);
        }
    }
    assert!(machine.differences.iter().zip(&expected).all(|(d, e)| (d - e).abs() < 1e-9));
    assert!((result - 0.8 - expected[40]).abs() < 1e-9 && expected[40] > 0.8);
    // Where it looks is the seed's choice, all within the range.
    let times = |seed| -> Vec<f64> {
        let plan = Dds { seed, ..method }.plan(&schedule()).unwrap();
        plan.ops
            .iter()
            .filter_map(|op| if let Op::Evaluate(e) = op { Some(e.coefficients.timestep) } else { None })
            .collect()
    };
    assert!(times(3) != times(4) && times(3).iter().all(|t| (50.0..=948.0).contains(t)));
}

/// From further up less of the picture is left; the target's distribution is what remains.
#[test]
fn sdedit_forgets_the_picture_with_the_level() {
    for grid in [EditGrid::diffusion(&schedule(), 50).unwrap(), flux()] {
        let n = grid.len();
        let kept = |start: usize| {
            let plan = SdEdit { start, guidance: 1.0 }.plan(&grid).unwrap();
            assert_eq!((plan.branches, plan.evaluations()), (1, n - start));
            // Linear in the picture: the factor it comes through with.
            edited(&plan, 1.0, 2) - edited(&plan, 0.0, 2)
        };
        let shares = [1, n / 4, n / 2, 3 * n / 4, n].map(kept);
        assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
        assert!(shares[0] < 0.15 && (shares[4] - 1.0).abs() < 1e-12, "{shares:?}");
    }
}

/// With one model inversion comes back; with another the picture moves by the difference of the means (of equal deviations).
#[test]
fn inversion_is_the_probability_flow_there_and_back() {
    for grid in [EditGrid::diffusion(&schedule(), 500).unwrap(), EditGrid::flow_of_diffusion(&schedule(), 500).unwrap()]
    {
        let plan = Inversion { start: 1, guidance: [1.0; 2], pull: None }.plan(&grid).unwrap();
        let same = Machine::new(0.7, [0.3, 0.3], 0.5, 0).run(&plan);
        assert!((same - 0.7).abs() < 0.02, "{same}");
        let moved = Machine::new(0.7, [0.3, -0.4], 0.5, 0).run(&plan);
        assert!((moved - 0.0).abs() < 0.03, "{moved}");
    }
}

/// RF-Inversion's controllers at their ends: all the way to the noise, all the way to the picture; and not at all.
#[test]
fn pulls_are_complete_at_one() {
    let plan = |pull| Inversion { start: 0, guidance: [1.0; 2], pull: Some(pull) }.plan(&flux()).unwrap();
    let to_noise = plan(Pull { up: 1.0, down: 0.0, steps: 0 });
    let mut machine = Machine::new(0.7, [0.0, 1.0], 1.0, 0);
    machine.run(&to_noise);
    let noise = machine.registers[&Reg::Branch(ViewReg::Kept, 0)];
    assert!((machine.registers[&Reg::Branch(ViewReg::State, 0)] - noise).abs() < 1e-12);
    let back = edited(&plan(Pull { up: 0.5, down: 1.0, steps: 28 }), 0.7, 0);
    assert!((back - 0.7).abs() < 1e-12, "{back}");
    let plain = Inversion { start: 0, guidance: [1.0; 2], pull: None }.plan(&flux()).unwrap();
    let none = plan(Pull { up: 0.0, down: 0.0, steps: 28 });
    assert!((edited(&plain, 0.7, 0) - edited(&none, 0.7, 0)).abs() < 1e-12);
}

#[test]
fn numbers_outside_their_range_are_refused_by_name() {
    let diffusion = EditGrid::diffusion(&schedule(), 10).unwrap();
    let flow = || FlowEdit::published(28, 4, [1.0; 2]);
    let text = |result: Result<Plan>| result.unwrap_err().to_string();
    assert!(text(flow().plan(&diffusion)).starts_with("FlowEdit: found the diffusion form"));
    assert!(text(FlowEdit { n_max: 28, ..flow() }.plan(&flux())).starts_with("start index: found 0"));
    assert!(text(FlowEdit { n_min: 25, ..flow() }.plan(&flux())).contains("n_min 25, n_max 24"));
    assert!(text(FlowEdit { n_avg: 0, ..flow() }.plan(&flux())).contains("n_avg 0"));
    assert!(text(SdEdit { start: 0, guidance: 1.0 }.plan(&diffusion)).starts_with("start index: found 0"));
    assert!(text(SdEdit { start: 2, guidance: f64::NAN }.plan(&diffusion)).starts_with("guidance: found NaN"));
    let dds = Dds::published(1);
    assert!(text(Dds { timesteps: [5, 1000], ..dds }.plan(&schedule())).contains("found 5 to 1000"));
    assert!(text(Dds { rate: 0.0, ..dds }.plan(&schedule())).starts_with("learning rate: found 0"));
    let pull = Some(Pull { up: 0.5, down: 1.5, steps: 3 });
    assert!(text(Inversion { start: 0, guidance: [1.0; 2], pull }.plan(&flux())).contains("0.5 and 1.5"));
    let published = SyncSde::published(4, [1.0; 2]);
    assert!(text(published.plan(&diffusion)).contains("found the diffusion form, expected the flow form"));
}
