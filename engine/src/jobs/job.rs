//! The one sampling loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use syncline_kernels::gpu::Recording;

use crate::error::{Error, Result};

/// Where a program stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// What is being done: "text", "denoise", "decode" …
    pub stage: &'static str,
    /// Network evaluations (or tiles, or views) of this stage so far.
    pub step: usize,
    /// Of how many.
    pub steps: usize,
    /// Share of the whole job that is done, 0..=1, by expected work.
    pub fraction: f64,
}

/// A sequence of recordings with host work between them.
pub trait Program {
    /// What comes out in the end.
    type Output;

    /// Makes the next recording ready to run; `None` when the result is complete.
    ///
    /// # Errors
    /// Whatever went wrong, with its stage.
    fn next(&mut self) -> Result<Option<&mut Recording>>;

    /// The recording that `next` gave has run to its end.
    ///
    /// # Errors
    /// A numeric failure found in its results, or a readback that failed.
    fn done(&mut self) -> Result<()>;

    /// Where it stands.
    fn status(&self) -> Status;

    /// Takes the result, after `next` has returned `None`.
    ///
    /// # Errors
    /// When the final readback fails.
    fn finish(&mut self) -> Result<Self::Output>;
}

/// Stops a job from another thread, between two submits.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether a stop was asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Where the program stands.
    pub status: Status,
    /// Time since the first `advance`.
    pub elapsed: Duration,
    /// Expected time to the end, from the share done so far.
    pub eta: Option<Duration>,
    /// Steps of the present stage per second.
    pub rate: Option<f64>,
    /// Whether the result is complete.
    pub finished: bool,
}

/// A running program.
#[derive(Debug)]
pub struct Job<P> {
    program: P,
    cancel: CancelToken,
    started: Option<Instant>,
    stage: Option<(&'static str, Instant, usize)>,
    /// A recording is under way: `next` has been called, `done` not yet.
    active: bool,
    finished: bool,
}

impl<P: Program> Job<P> {
    /// A job that has not begun.
    #[must_use]
    pub fn new(program: P) -> Self {
        Self { program, cancel: CancelToken::default(), started: None, stage: None, active: false, finished: false }
    }

    /// The token that stops this job.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.cancel.clone()
    }

    /// The program, for previews and reports while it runs.
    #[must_use]
    pub fn program(&self) -> &P {
        &self.program
    }

    /// Runs at most about `budget` of GPU work and returns, so that an application can call it once a frame. At least
    /// one dispatch runs.
    ///
    /// # Errors
    /// [`Error::Cancelled`] after a cancel, otherwise what the program met. A failed job cannot go on.
    pub fn advance(&mut self, budget: Duration) -> Result<Progress> {
        let begin = Instant::now();
        self.started.get_or_insert(begin);
        while !self.finished {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let Some(left) = budget.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) else { break };
            self.advance_recording(left)?;
        }
        Ok(self.progress())
    }

    fn advance_recording(&mut self, left: Duration) -> Result<()> {
        let fresh = !self.active;
        // A program hands out the same recording until it is told that it is done.
        let Some(recording) = self.program.next()? else {
            self.finished = true;
            return Ok(());
        };
        if fresh {
            recording.restart();
        }
        self.active = !recording.advance(left)?.finished();
        if !self.active {
            self.program.done()?;
        }
        Ok(())
    }

    /// The whole job; `watch` is called after every step and at least every quarter of a second of GPU work.
    ///
    /// # Errors
    /// As [`Job::advance`].
    pub fn run(mut self, mut watch: impl FnMut(&P, &Progress)) -> Result<P::Output> {
        self.started.get_or_insert_with(Instant::now);
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            // One recording at a time, so that even the shortest step is seen.
            self.advance_recording(Duration::from_millis(250))?;
            let progress = self.progress();
            watch(&self.program, &progress);
            if progress.finished {
                return self.finish();
            }
        }
    }

    /// Takes the result of a finished job.
    ///
    /// # Errors
    /// When the final readback fails.
    pub fn finish(&mut self) -> Result<P::Output> {
        self.program.finish()
    }

    fn progress(&mut self) -> Progress {
        let status = self.program.status();
        let elapsed = self.started.map_or(Duration::ZERO, |begin| begin.elapsed());
        if self.stage.is_none_or(|(stage, ..)| stage != status.stage) {
            self.stage = Some((status.stage, Instant::now(), status.step));
        }
        let rate = self.stage.and_then(|(_, since, first)| {
            let seconds = since.elapsed().as_secs_f64();
            (status.step > first && seconds > 0.0).then(|| (status.step - first) as f64 / seconds)
        });
        let eta = (status.fraction > 0.0 && !self.finished)
            .then(|| elapsed.mul_f64(((1.0 - status.fraction) / status.fraction).clamp(0.0, 1e6)));
        Progress { status, elapsed, eta, rate, finished: self.finished }
    }
}
