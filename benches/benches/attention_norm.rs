//! Attention and norms on the models' own shapes: `cargo bench --bench attention_norm [-- <part of a name>]`.
//!
//! Every row is checked against a few values computed in f64 before it is timed. Times are medians of single dispatches
//! by the GPU's clock; `cpu` is the processor time of the whole process (software adapters compute in threads of it),
//! which other load on the machine disturbs less.

use std::time::Instant;

use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::ops::attention::{self, Attention};
use syncline_kernels::ops::group_norm::{self, GroupNorm};
use syncline_kernels::ops::layer_norm::{self, LayerNorm};
use syncline_kernels::tensor::{Elem, Tensor};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Host values and their tensor.
struct Operand {
    values: Vec<f32>,
    tensor: Tensor,
}

fn operand(ctx: &Context, draw: &mut Draw, dims: &[usize]) -> Result<Operand> {
    let values: Vec<f32> = (0..dims.iter().product()).map(|_| draw.normal() as f32).collect();
    let tensor = ctx.upload(&values, dims, Elem::F32)?;
    Ok(Operand { values, tensor })
}

/// Nanoseconds of processor time of all threads so far; 0 where the system does not tell.
fn cpu_ns() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0.0 };
    let one = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(|task| one(task.ok()?.path())).sum()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs `record` once for its result, then times it.
fn measure(ctx: &Context, name: &str, record: impl FnOnce(&mut Recorder) -> Tensor) -> Result<Vec<f32>> {
    let mut rec = Recorder::new(ctx);
    let y = record(&mut rec);
    let y = rec.keep(&y)?;
    let mut recording = rec.finish()?;
    recording.run()?;
    let got = ctx.read(&y)?;
    let (mut gpu, mut cpu) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while gpu.len() < 3 || (begin.elapsed().as_secs_f64() < 1.0 && gpu.len() < 50) {
        let before = cpu_ns();
        gpu.push(recording.profile()?.iter().map(|d| d.ns).sum());
        cpu.push(cpu_ns() - before);
    }
    let cost = recording.cost();
    let (gpu, cpu) = (median(&mut gpu), median(&mut cpu));
    println!(
        "{name:<34} {:9.3} ms {:7.1} GFLOP/s {:7.1} GB/s   cpu {:9.3} ms {:6.1} GFLOP/s",
        gpu / 1e6,
        cost.flops as f64 / gpu,
        cost.bytes as f64 / gpu,
        cpu / 1e6,
        cost.flops as f64 / cpu
    );
    Ok(got)
}

fn attention_case(ctx: &Context, name: &str, dims: [usize; 5], causal: bool) -> Result<()> {
    let mut draw = Draw::new(1);
    let [batch, queries, keys, heads, size] = dims;
    let width = heads * size;
    let q = operand(ctx, &mut draw, &[batch, queries, width])?;
    let k = operand(ctx, &mut draw, &[batch, keys, width])?;
    let v = operand(ctx, &mut draw, &[batch, keys, width])?;
    let op = Attention { q: &q.tensor, k: &k.tensor, v: &v.tensor, heads, causal };
    let got = measure(ctx, &format!("attention {name}"), |rec| attention::attention(rec, &op))?;
    for _ in 0..8 {
        let (b, h, i) = (draw.below(batch), draw.below(heads), draw.below(queries));
        let seen = if causal { keys.min(i + 1) } else { keys };
        let at = |length: usize, row: usize| (b * length + row) * width + h * size;
        let dot = |j: usize| -> f64 {
            let (q, k) = (&q.values[at(queries, i)..][..size], &k.values[at(keys, j)..][..size]);
            q.iter().zip(k).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / (size as f64).sqrt()
        };
        let weights: Vec<f64> = (0..seen).map(|j| dot(j).exp()).collect();
        let total: f64 = weights.iter().sum();
        for c in 0..size {
            let sum: f64 = (0..seen).map(|j| weights[j] * f64::from(v.values[at(keys, j) + c])).sum();
            let y = f64::from(got[at(queries, i) + c]);
            assert!((y - sum / total).abs() < 1e-4, "{name}: {y} instead of {}", sum / total);
        }
    }
    Ok(())
}

/// Mean and 1 / standard deviation of some values.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (mean, 1.0 / (variance + 1e-5).sqrt())
}

fn group_norm_case(ctx: &Context, name: &str, dims: [usize; 4], skip: usize, groups: usize) -> Result<()> {
    let mut draw = Draw::new(2);
    let [batch, height, width, channels] = dims;
    let all = channels + skip;
    let x = operand(ctx, &mut draw, &dims)?;
    let second = (skip > 0).then(|| operand(ctx, &mut draw, &[batch, height, width, skip])).transpose()?;
    let (weight, bias) = (operand(ctx, &mut draw, &[all])?, operand(ctx, &mut draw, &[all])?);
    let op = GroupNorm {
        x: &x.tensor,
        skip: second.as_ref().map(|s| &s.tensor),
        weight: &weight.tensor,
        bias: &bias.tensor,
        groups,
        eps: 1e-5,
        silu: true,
    };
    let got = measure(ctx, &format!("group_norm {name}"), |rec| group_norm::group_norm(rec, &op))?;
    let pixels = height * width;
    let value = |b: usize, p: usize, c: usize| {
        let row = b * pixels + p;
        f64::from(match &second {
            Some(s) if c >= channels => s.values[row * skip + c - channels],
            _ => x.values[row * channels + c],
        })
    };
    for _ in 0..2 {
        let (b, g) = (draw.below(batch), draw.below(groups));
        let members: Vec<(usize, usize)> =
            (0..pixels).flat_map(|p| (g * all / groups..(g + 1) * all / groups).map(move |c| (p, c))).collect();
        let (mean, scale) = moments(&members.iter().map(|&(p, c)| value(b, p, c)).collect::<Vec<_>>());
        for (p, c) in members {
            let v = (value(b, p, c) - mean) * scale * f64::from(weight.values[c]) + f64::from(bias.values[c]);
            let (y, wanted) = (f64::from(got[(b * pixels + p) * all + c]), v / (1.0 + (-v).exp()));
            assert!((y - wanted).abs() < 1e-4, "{name}: {y} instead of {wanted}");
        }
    }
    Ok(())
}

fn layer_norm_case(ctx: &Context, name: &str, rows: usize, width: usize) -> Result<()> {
    let mut draw = Draw::new(3);
    let x = operand(ctx, &mut draw, &[rows, width])?;
    let (weight, bias) = (operand(ctx, &mut draw, &[width])?, operand(ctx, &mut draw, &[width])?);
    let op = LayerNorm { x: &x.tensor, weight: &weight.tensor, bias: &bias.tensor, eps: 1e-5 };
    let got = measure(ctx, &format!("layer_norm {name}"), |rec| layer_norm::layer_norm(rec, &op))?;
    for _ in 0..8 {
        let start = draw.below(rows) * width;
        let row: Vec<f64> = x.values[start..start + width].iter().map(|&v| f64::from(v)).collect();
        let (mean, scale) = moments(&row);
        for (c, v) in row.iter().enumerate() {
            let wanted = (v - mean) * scale * f64::from(weight.values[c]) + f64::from(bias.values[c]);
            let y = f64::from(got[start + c]);
            assert!((y - wanted).abs() < 1e-4, "{name}: {y} instead of {wanted}");
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    // cargo passes --bench; anything else is part of a row's name.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let takes = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let ctx = Context::new(&ContextOptions::default())?;
    println!("{} via {}", ctx.adapter().name, ctx.adapter().backend);
    for &(name, dims, causal) in attention::CASES.iter().filter(|c| takes(&format!("attention {}", c.0))) {
        attention_case(&ctx, name, dims, causal)?;
    }
    for &(name, dims, skip, groups) in group_norm::CASES.iter().filter(|c| takes(&format!("group_norm {}", c.0))) {
        group_norm_case(&ctx, name, dims, skip, groups)?;
    }
    for &(name, rows, width) in layer_norm::CASES.iter().filter(|c| takes(&format!("layer_norm {}", c.0))) {
        layer_norm_case(&ctx, name, rows, width)?;
    }
    Ok(())
}
