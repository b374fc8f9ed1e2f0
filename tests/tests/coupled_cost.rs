//! What coupling costs. Alone in its program: others would read back at the same time.

use syncline::jobs::{CanvasOptions, CanvasProgram, Program};
use syncline::methods::Coupled;
use syncline_tests::analytic::{branches, context, coupled, planned, two_models};

/// What runs, in dispatches, readbacks and submits of one run.
fn cost(method: &Coupled) -> (usize, u64) {
    let options = CanvasOptions::new(planned(method), branches(2), 3);
    let mut program = CanvasProgram::new(two_models(), options).unwrap();
    let (mut dispatches, before) = (0, context().readbacks().0);
    while let Some(recording) = program.next().unwrap() {
        dispatches += recording.len();
        recording.run().unwrap();
        program.done().unwrap();
    }
    (dispatches, context().readbacks().0 - before)
}

/// Coupling is at most one dispatch per step, and reads nothing back.
#[test]
fn coupling_is_one_dispatch_per_step() {
    let ((plain, read), (pushed, also)) = (cost(&coupled(0.0)), cost(&coupled(0.02)));
    println!("12 steps of two models: {plain} dispatches and {read} readbacks apart, {pushed} and {also} coupled");
    assert_eq!(pushed - plain, 11, "all steps but the last");
    // The report of NaN and infinite values, after each evaluation.
    assert_eq!((read, also), (24, 24));
}
