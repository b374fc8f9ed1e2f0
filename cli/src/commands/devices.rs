//! `devices`.

use serde_json::json;
use syncline::kernels::gpu::{AdapterReport, Backends, list_adapters};

use crate::args::{Backend, DevicesArgs, Global};
use crate::console;
use crate::exit::Failure;

/// Lists the adapters; fails with code 5 when there is none.
pub fn run(global: &Global, args: &DevicesArgs) -> anyhow::Result<()> {
    let backends = match args.backend {
        Backend::Auto => Backends::Any,
        Backend::Vulkan => Backends::Vulkan,
        Backend::Metal => Backends::Metal,
        Backend::Dx12 => Backends::Dx12,
    };
    let adapters = list_adapters(backends);
    if adapters.is_empty() {
        let message = "no adapter found; install a Vulkan driver (Debian/Ubuntu: apt install mesa-vulkan-drivers)";
        return Err(Failure { code: 5, message: message.into() }.into());
    }
    if global.json {
        let list: Vec<_> = adapters.iter().map(to_json).collect();
        return console::result(json!({ "schema": 1, "event": "devices", "adapters": list }));
    }
    adapters.iter().try_for_each(|adapter| console::result(text(adapter)))
}

fn to_json(a: &AdapterReport) -> serde_json::Value {
    json!({
        "index": a.index, "name": a.name, "backend": a.backend, "kind": a.kind, "driver": a.driver,
        "vendor": a.vendor, "device": a.device, "shader_f16": a.shader_f16, "subgroups": a.subgroups,
        "subgroup_size": [a.subgroup_size.0, a.subgroup_size.1], "timestamps": a.timestamps, "matrix": a.matrix,
        "max_binding": a.max_binding, "max_buffer": a.max_buffer, "workgroup_memory": a.workgroup_memory,
        "workgroup_invocations": a.workgroup_invocations,
    })
}

fn text(a: &AdapterReport) -> String {
    let yes = |b| if b { "yes" } else { "no" };
    format!(
        "{}\t{}\t{} ({}), {}\n\tf16 {}, subgroups {} ({}-{}), matrices {}, timestamps {}, binding {} MiB, buffer {} MiB, workgroup {} invocations, {} KiB",
        a.index,
        a.name,
        a.backend,
        a.kind,
        a.driver,
        yes(a.shader_f16),
        yes(a.subgroups),
        a.subgroup_size.0,
        a.subgroup_size.1,
        if a.matrix == 0 { "no".to_owned() } else { format!("{0}x{0}", a.matrix) },
        yes(a.timestamps),
        a.max_binding >> 20,
        a.max_buffer >> 20,
        a.workgroup_invocations,
        a.workgroup_memory >> 10,
    )
}
