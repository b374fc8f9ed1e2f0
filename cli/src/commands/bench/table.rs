//! Measurements as text.

use std::fmt::Write;

use syncline::bench::{OpTime, Spot, Timing, totals};
use syncline::kernels::ops::matrix::Tuned;
use syncline::kernels::ops::peak::Peak;

pub fn peak(p: &Peak) -> String {
    let rate = |flops: f64| if flops > 0.0 { format!("{:.3} TFLOP/s", flops / 1e12) } else { "none".to_owned() };
    format!(
        "roof: f32 {}, f16 {}, matrix f16 to f32 {}, copy {:.1} GB/s",
        rate(p.f32_flops),
        rate(p.f16_flops),
        rate(p.matrix_flops),
        p.copy_bytes / 1e9
    )
}

/// The larger share of the two roofs, in percent.
fn share(op: &OpTime, peak: &Peak) -> f64 {
    let flops = peak.matrix_flops.max(peak.f32_flops);
    100.0 * (op.tflops() * 1e12 / flops).max(op.gigabytes() * 1e9 / peak.copy_bytes)
}

fn line(op: &OpTime, name: &str, all_us: f64, each_us: f64, peak: &Peak) -> String {
    format!(
        "{:>5} {:>10.1} {:>9.1} {:>9.2} {:>8.0} {:>6.1}  {name}",
        op.count,
        all_us,
        each_us,
        op.tflops(),
        op.gigabytes(),
        share(op, peak)
    )
}

pub fn network(title: &str, t: &Timing, peak: &Peak, spots: &[Spot], every_op: bool) -> String {
    let mut out = String::new();
    let roof = peak.matrix_flops.max(peak.f32_flops);
    let tflops = t.flops as f64 / t.host_ms / 1e9;
    let _ = writeln!(out, "\n{title}");
    let _ = writeln!(
        out,
        "{} dispatches in {} submits, {:.3} TFLOP, {:.2} GB bound, {:.2} GB of slots",
        t.dispatches,
        t.submits,
        t.flops as f64 / 1e12,
        t.bytes as f64 / 1e9,
        t.slot_bytes as f64 / 1e9
    );
    let _ = writeln!(
        out,
        "host {:.3} ms ({:.3} to {:.3}), GPU {:.3} ms as single passes; {tflops:.2} TFLOP/s by the host, {:.1} % of the roof",
        t.host_ms,
        t.host_spread_ms[0],
        t.host_spread_ms[1],
        t.gpu_ms,
        100.0 * tflops * 1e12 / roof
    );
    let _ = writeln!(out, "count   all [us] each [us]   TFLOP/s     GB/s  roof%");
    for sum in totals(&t.ops) {
        let each = sum.us / sum.count as f64;
        let _ = writeln!(out, "{}", line(&sum, &sum.name, sum.us, each, peak));
    }
    if every_op {
        let _ = writeln!(out, "--- by shape");
        for op in &t.ops {
            let spot = spots.iter().find(|s| s.name == op.name);
            let checked = spot.map_or(String::new(), |s| format!("  (checked, {:.0e})", s.error));
            let name = format!("{}{checked}", op.name);
            let _ = writeln!(out, "{}", line(op, &name, op.us * op.count as f64, op.us, peak));
        }
    } else if !spots.is_empty() {
        let worst = spots.iter().map(|s| s.error).fold(0.0, f64::max);
        let _ = writeln!(out, "{} kinds of dispatch checked, at most {worst:.1e} off", spots.len());
    }
    out.truncate(out.trim_end().len());
    out
}

/// One product and its time with every tile.
pub fn tuned(t: &Tuned) -> String {
    let (op, rows, columns, terms) = t.key;
    let times: Vec<String> = t.us.iter().map(|us| format!("{us:.1}")).collect();
    format!("tile {} of {op} {rows}x{columns}x{terms}: {} us", t.best, times.join(" "))
}
