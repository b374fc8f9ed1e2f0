//! Opening the adapter and the model that the flags name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncline::kernels::gpu::{Backends, Context, ContextOptions, Profile};
use syncline::kernels::tensor::Elem;
use syncline::pipeline::StableDiffusion;
use syncline::schedulers::PredictionType;
use syncline_loader::{Embedding, Lora, ModelSource};

use crate::args::{AdapterArgs, Backend, DeviceArgs, ExtraArgs, Precision};

/// Folder of compiled pipelines: `$XDG_CACHE_HOME/syncline` or its counterpart.
fn pipeline_cache() -> Option<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = if cfg!(windows) {
        var("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        var("HOME").map(|home| home.join("Library/Caches"))
    } else {
        var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")))
    };
    Some(base?.join("syncline"))
}

/// Opens the adapter.
pub fn open(args: &AdapterArgs) -> anyhow::Result<Context> {
    let backends = match args.backend {
        Backend::Auto => Backends::Any,
        Backend::Vulkan => Backends::Vulkan,
        Backend::Metal => Backends::Metal,
        Backend::Dx12 => Backends::Dx12,
    };
    let options = ContextOptions {
        adapter: args.device.clone(),
        backends,
        profile: Profile { webgpu_limits: args.webgpu_limits, ..Profile::default() },
        max_bytes: args.max_vram.map(|gib| (gib * f64::from(1u32 << 30)) as u64),
        checked: args.checked,
        guarded: false,
        pipeline_cache: pipeline_cache(),
        ..ContextOptions::default()
    };
    Ok(Context::new(&options)?)
}

/// Storage type for a context.
pub fn elem(precision: Precision, ctx: &Context) -> Elem {
    match precision {
        Precision::F32 => Elem::F32,
        Precision::F16 => Elem::F16,
        // Software adapters convert every f16 value by hand; GPUs gain twice the bandwidth.
        Precision::Auto => {
            if ctx.caps().software {
                Elem::F32
            } else {
                Elem::F16
            }
        }
    }
}

/// What the flags say about the model's files.
pub fn source_options(source: ModelSource, args: &DeviceArgs) -> ModelSource {
    source
        .with_prediction_type(args.prediction.map(PredictionType::name))
        .with_variant(args.variant.as_deref())
        .allow_nonfinite(args.allow_nonfinite)
}

/// Adds the files that are loaded beside the model.
pub fn with_extras(mut source: ModelSource, args: &ExtraArgs) -> anyhow::Result<ModelSource> {
    for (component, path) in args.components() {
        source = source.with_component(component, path)?;
    }
    for (path, weight) in args.loras() {
        source = source.with_lora(&Lora::open(&path)?, weight)?;
    }
    for path in &args.embedding {
        source = source.with_embedding(&Embedding::open(path)?)?;
    }
    if args.clip_skip != 1 {
        source = source.with_clip_skip(args.clip_skip)?;
    }
    Ok(source)
}

/// Loads the model of `-m`, or the one built in.
pub fn load(args: &DeviceArgs) -> anyhow::Result<Arc<StableDiffusion>> {
    load_or(args, ModelSource::mini)
}

/// Loads the model of `-m`, or the built-in one that takes instructions.
pub fn load_editor(args: &DeviceArgs) -> anyhow::Result<Arc<StableDiffusion>> {
    load_or(args, ModelSource::mini_editor)
}

/// Loads another model on the same adapter, with the storage type of the first.
pub fn load_beside(first: &StableDiffusion, path: &Path, args: &DeviceArgs) -> anyhow::Result<Arc<StableDiffusion>> {
    let source = ModelSource::open(path)?.with_variant(args.variant.as_deref()).allow_nonfinite(args.allow_nonfinite);
    Ok(StableDiffusion::load(&first.ctx, &source, first.elem())?)
}

fn load_or(
    args: &DeviceArgs,
    built_in: fn() -> syncline_loader::Result<ModelSource>,
) -> anyhow::Result<Arc<StableDiffusion>> {
    let source = match &args.model {
        Some(name) => ModelSource::named(name)?,
        None => built_in()?,
    };
    let source = with_extras(source_options(source, args), &args.extras)?;
    let ctx = open(&args.adapter)?;
    tracing::info!("{} on {} ({})", source.label(), ctx.adapter().name, ctx.adapter().driver);
    let elem = elem(args.precision, &ctx);
    Ok(StableDiffusion::load(&ctx, &source, elem)?)
}
