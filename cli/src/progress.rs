//! What the user sees while a job runs. All of it goes to stderr, except JSON events.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use syncline::jobs::{CancelToken, Job, Program, Progress, Status};
use tracing_subscriber::EnvFilter;

use crate::args::Global;
use crate::console;

/// The running job; a command may run one after the other.
static RUNNING: Mutex<Option<CancelToken>> = Mutex::new(None);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Logs to stderr; the level follows -v and -q unless RUST_LOG says otherwise.
pub fn init_logging(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "syncline=info,warn",
        (false, 2) => "debug,wgpu_core=info,wgpu_hal=info,naga=info",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .without_time()
        .log_internal_errors(false)
        .init();
}

/// The first Ctrl-C stops the job before its next submit, the second the process at once.
fn cancel_on_interrupt(token: CancelToken) {
    static HANDLER: Once = Once::new();
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    HANDLER.call_once(|| {
        if let Err(e) = ctrlc::set_handler(interrupt) {
            tracing::debug!("no interrupt handler: {e}");
        }
    });
    // Between two jobs of a command.
    if INTERRUPTED.load(Ordering::SeqCst) {
        token.cancel();
    }
}

fn interrupt() {
    if INTERRUPTED.swap(true, Ordering::SeqCst) {
        std::process::exit(130);
    }
    if let Some(token) = &*RUNNING.lock().unwrap_or_else(PoisonError::into_inner) {
        token.cancel();
    }
}

struct Watch {
    bar: ProgressBar,
    json: bool,
    plain: bool,
    last: Option<(&'static str, Instant)>,
}

impl Watch {
    fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let shown = terminal && !global.quiet && !global.json;
        let bar = ProgressBar::with_draw_target(
            Some(1000),
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {msg}") {
            bar.set_style(style);
        }
        Self { bar, json: global.json, plain: !terminal && !global.quiet && !global.json, last: None }
    }

    fn update(&mut self, progress: &Progress) {
        let status = progress.status;
        let rate = progress.rate.map_or(String::new(), |r| {
            if r >= 1.0 { format!(", {r:.2} it/s") } else { format!(", {:.2} s/it", 1.0 / r) }
        });
        let eta = progress.eta.map_or(String::new(), |eta| format!(", ETA {}", clock(eta)));
        let message = format!("{}/{}{rate}{eta}", status.step, status.steps);
        self.bar.set_prefix(status.stage);
        self.bar.set_position((1000.0 * status.fraction) as u64);
        self.bar.set_message(message.clone());
        // Without a terminal: a line when the stage changes and every ten seconds.
        let due = self.last.is_none_or(|(stage, at)| stage != status.stage || at.elapsed() > Duration::from_secs(10));
        if due && self.plain {
            console::note(format_args!("{}: {message}", status.stage));
        }
        if due && self.json {
            let eta = progress.eta.map(|eta| eta.as_secs_f64());
            // Whoever does not listen any more still gets the file.
            let _ =
                console::result(json!({ "schema": 1, "event": "progress", "stage": status.stage, "step": status.step,
                        "steps": status.steps, "fraction": status.fraction, "eta_s": eta, "rate": progress.rate }));
        }
        if due {
            self.last = Some((status.stage, Instant::now()));
        }
    }
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Counts parts of a command that are no jobs of their own.
pub struct Counter(Watch, Instant);

impl Counter {
    /// Nothing is shown yet.
    pub fn new(global: &Global) -> Self {
        Self(Watch::new(global), Instant::now())
    }

    /// `step` of `steps` parts of this stage are done.
    pub fn tell(&mut self, stage: &'static str, step: usize, steps: usize) {
        let status = Status { stage, step, steps, fraction: step as f64 / steps.max(1) as f64 };
        let elapsed = self.1.elapsed();
        self.0.update(&Progress { status, elapsed, eta: None, rate: None, finished: step == steps });
    }

    /// Takes the bar away.
    pub fn finish(self) {
        self.0.bar.finish_and_clear();
    }
}

/// A job that is a small part of a command: Ctrl-C stops it, nothing is shown.
pub fn run_unseen<P: Program>(program: P) -> anyhow::Result<P::Output> {
    let job = Job::new(program);
    cancel_on_interrupt(job.cancel_token());
    Ok(job.run(|_, _| {})?)
}

/// A job that is one of several alike: progress and Ctrl-C.
pub fn run_part<P: Program>(global: &Global, program: P) -> anyhow::Result<P::Output> {
    let job = Job::new(program);
    cancel_on_interrupt(job.cancel_token());
    let mut watch = Watch::new(global);
    let output = job.run(|_, progress| watch.update(progress));
    watch.bar.finish_and_clear();
    Ok(output?)
}

/// Runs a job with progress and Ctrl-C.
pub fn run<P: Program>(global: &Global, program: P) -> anyhow::Result<P::Output> {
    run_watched(global, program, |_| Ok(()))
}

/// As [`run`]; `look` sees the program after every recording. An error of its own stops the job and is returned.
pub fn run_watched<P: Program>(
    global: &Global,
    program: P,
    mut look: impl FnMut(&P) -> anyhow::Result<()>,
) -> anyhow::Result<P::Output> {
    let job = Job::new(program);
    let token = job.cancel_token();
    cancel_on_interrupt(token.clone());
    let mut watch = Watch::new(global);
    let begin = Instant::now();
    let mut failure = None;
    let output = job.run(|program, progress| {
        watch.update(progress);
        if failure.is_none()
            && let Err(e) = look(program)
        {
            failure = Some(e);
            token.cancel();
        }
    });
    watch.bar.finish_and_clear();
    if let Some(failure) = failure {
        return Err(failure);
    }
    let output = output?;
    if !global.quiet && !global.json {
        console::note(format_args!("done in {:.1} s", begin.elapsed().as_secs_f64()));
    }
    Ok(output)
}
