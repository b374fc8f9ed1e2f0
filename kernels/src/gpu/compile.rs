//! Pipelines before they are needed.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::context::Context;
use super::error::Result;
use super::recorder::Dispatch;

/// Compiles what the dispatches need, several at once: drivers take up to seconds for one.
pub(super) fn compile(ctx: &Context, dispatches: &[Dispatch]) -> Result<()> {
    let mut wanted: Vec<&Dispatch> = Vec::new();
    for d in dispatches {
        let same = |other: &&Dispatch| {
            std::ptr::eq(other.kernel, d.kernel) && other.store == d.store && other.overrides == d.overrides
        };
        if !wanted.iter().any(same) {
            wanted.push(d);
        }
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(wanted.len());
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let Some(d) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            ctx.pipeline(d.kernel, d.store, &d.overrides)?;
        }
        Ok(())
    };
    if threads <= 1 {
        return work();
    }
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A panic of a thread is a panic of ours: pipelines do not compile then, whose error is kept.
        running
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
