//! Times single kernels on the shapes of real models, after checking some values of each against plain f64 sums.
//!
//! `cargo bench -p syncline-benches --bench ops -- [part of a name]...`; environment: `REPEAT` (timed runs, default 7).
//! One line per case: kernel, case, storage, median and shortest time, GFLOP/s at the median and, on software adapters
//! under Linux, GFLOP per second of CPU time of one core: that figure hardly moves when the machine has other work.

use anyhow::{Result, bail};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder, Recording};
use syncline_kernels::ops::conv2d::{self, Conv2d, conv2d};
use syncline_kernels::ops::gemm::{self, Activation, Gemm, gemm};
use syncline_kernels::tensor::{Elem, Tensor};

/// Values and the tensor that holds them.
struct Data {
    values: Vec<f32>,
    tensor: Tensor,
}

struct Bench {
    ctx: Context,
    filters: Vec<String>,
    repeat: usize,
    draw: Draw,
}

impl Bench {
    /// Multiples of 1/64: exact in f16, so that one expectation serves both storage types.
    fn data(&mut self, dims: &[usize], elem: Elem) -> Result<Data> {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|_| (self.draw.below(129) as f32 - 64.0) / 64.0).collect();
        let tensor = self.ctx.upload(&values, dims, elem)?;
        Ok(Data { values, tensor })
    }

    fn wanted(&self, line: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|f| line.contains(f))
    }

    /// Compares 256 values with `expected(index)`, then times.
    fn report(
        &mut self,
        line: &str,
        mut recording: Recording,
        y: &Tensor,
        expected: impl Fn(usize) -> f64,
    ) -> Result<()> {
        recording.run()?;
        let got = self.ctx.read(y)?;
        for _ in 0..256 {
            let at = self.draw.below(got.len());
            let (found, wanted) = (f64::from(got[at]), expected(at));
            // Half a unit of f16 storage, and f32 sums of some thousand terms.
            if (found - wanted).abs() > 1e-3 * wanted.abs() + 1e-2 {
                bail!("{line}: value {at} is {found}, expected {wanted}");
            }
        }
        let mut ns = Vec::new();
        let before = cpu_ns();
        for _ in 0..self.repeat {
            ns.push(recording.profile()?.iter().map(|d| d.ns).sum::<f64>());
        }
        let cpu = cpu_ns().zip(before).map(|(after, before)| (after - before) / self.repeat as f64);
        ns.sort_by(f64::total_cmp);
        let (median, least) = (ns[ns.len() / 2], ns[0]);
        let flops = recording.cost().flops as f64;
        let per_core = match cpu {
            Some(cpu) if self.ctx.caps().software => format!("{:>8.2} per core", flops / cpu),
            _ => String::new(),
        };
        let (rate, median, least) = (flops / median, median / 1e3, least / 1e3);
        println!("{line:<52} {median:>10.1} us {least:>10.1} us {rate:>8.2} GFLOP/s {per_core}");
        Ok(())
    }

    fn gemm(&mut self, name: &str, [m, n, k]: [usize; 3], elem: Elem) -> Result<()> {
        let line = format!("gemm   {name} {elem}");
        if !self.wanted(&line) {
            return Ok(());
        }
        let geglu = name.contains("geglu");
        let (a, w) = (self.data(&[1, m, k], elem)?, self.data(&[if geglu { 2 * n } else { n }, k], elem)?);
        let mut rec = Recorder::new(&self.ctx);
        let activation = if geglu { Activation::Geglu } else { Activation::None };
        let y = gemm(&mut rec, &Gemm { activation, ..Gemm::new(&a.tensor, &w.tensor) });
        let y = rec.keep(&y)?;
        let dot = |row: usize, column: usize| -> f64 {
            let (left, right) = (&a.values[row * k..][..k], &w.values[column * k..][..k]);
            left.iter().zip(right).map(|(a, w)| f64::from(*a) * f64::from(*w)).sum()
        };
        let recording = rec.finish()?;
        self.report(&line, recording, &y, |at| {
            let (row, column) = (at / n, at % n);
            if geglu { dot(row, column) * gelu(dot(row, n + column)) } else { dot(row, column) }
        })
    }

    fn conv2d(&mut self, case: &conv2d::Case, elem: Elem) -> Result<()> {
        let line = format!("conv2d {} {elem}", case.name);
        if !self.wanted(&line) {
            return Ok(());
        }
        let conv2d::Case { x: [b, h, w, c], skip, out, taps, stride, upsample, .. } = *case;
        let x = self.data(&[b, h, w, c], elem)?;
        let second = if skip > 0 { Some(self.data(&[b, h, w, skip], elem)?) } else { None };
        let weights = self.data(&[out, taps, taps, c + skip], elem)?;
        let mut rec = Recorder::new(&self.ctx);
        let source = Conv2d { skip: second.as_ref().map(|s| &s.tensor), ..Conv2d::new(&x.tensor, &weights.tensor) };
        let y = conv2d(&mut rec, &Conv2d { stride, upsample, ..source });
        let y = rec.keep(&y)?;
        let scale = usize::from(upsample);
        let (out_h, out_w) = (y.dims()[1], y.dims()[2]);
        let expected = |at: usize| -> f64 {
            let (n, pixel) = (at % out, at / out);
            let (column, row, image) = (pixel % out_w, pixel / out_w % out_h, pixel / out_w / out_h);
            let mut sum = 0.0;
            for tap in 0..taps * taps {
                // Wraps below zero, and is then beyond the size.
                let sy = (row * stride + tap / taps).wrapping_sub(taps / 2);
                let sx = (column * stride + tap % taps).wrapping_sub(taps / 2);
                if sy >= h << scale || sx >= w << scale {
                    continue;
                }
                let from = (image * h + (sy >> scale)) * w + (sx >> scale);
                let row = &weights.values[(n * taps * taps + tap) * (c + skip)..][..c + skip];
                let own = x.values[from * c..][..c].iter();
                let other = second.as_ref().map_or(&[][..], |s| &s.values[from * skip..][..skip]);
                sum += own.chain(other).zip(row).map(|(v, w)| f64::from(*v) * f64::from(*w)).sum::<f64>();
            }
            sum
        };
        let recording = rec.finish()?;
        self.report(&line, recording, &y, expected)
    }
}

/// Nanoseconds that the threads of this process have spent on a core.
fn cpu_ns() -> Option<f64> {
    let mut sum = 0.0;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    Some(sum)
}

/// Exact GELU with erfc by Abramowitz & Stegun 7.1.26.
fn gelu(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * (x.abs() / std::f64::consts::SQRT_2));
    let p = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let tail = p.iter().fold(0.0, |sum, c| (sum + c) * t) * (-x * x / 2.0).exp();
    if x > 0.0 { x * (1.0 - tail / 2.0) } else { x * tail / 2.0 }
}

fn main() -> Result<()> {
    let filters = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let repeat = std::env::var("REPEAT").ok().and_then(|r| r.parse().ok()).unwrap_or(7);
    let ctx = Context::new(&ContextOptions::default())?;
    println!("{} ({}), {repeat} runs: median, least, rate at the median", ctx.adapter().name, ctx.adapter().driver);
    let mut bench = Bench { ctx, filters, repeat, draw: Draw::new(1) };
    for elem in [Elem::F32, Elem::F16] {
        for (name, sizes) in gemm::CASES {
            bench.gemm(name, *sizes, elem)?;
        }
        for case in conv2d::CASES {
            bench.conv2d(case, elem)?;
        }
    }
    Ok(())
}
