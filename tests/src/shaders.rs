//! Every shader the kernels can ask for: kernel × storage type × set of overrides, parsed, validated and resolved by
//! naga as wgpu would do it.

use std::fmt;

use naga::back::PipelineConstants;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use syncline_kernels::gpu::{Kernel, Store};
use syncline_kernels::ops::{KERNELS, kernels_matrix};
use syncline_kernels::wgsl::{Consumer, link};

/// One shader: what a pipeline is made from.
#[derive(Clone, Copy, Debug)]
pub struct Shader {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Storage type.
    pub store: Store,
    /// Values of the override constants.
    pub overrides: &'static [(&'static str, f64)],
}

impl fmt::Display for Shader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.kernel.name, self.store)?;
        self.overrides.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// A parsed module with its override constants resolved.
#[derive(Debug)]
pub struct Resolved {
    /// The module.
    pub module: naga::Module,
    /// What validation found out.
    pub info: ModuleInfo,
}

/// All shaders that run on every backend, in the order of the registry.
#[must_use]
pub fn all() -> Vec<Shader> {
    of(KERNELS)
}

/// Shaders that use cooperative matrices.
#[must_use]
pub fn matrix() -> Vec<Shader> {
    of(&kernels_matrix())
}

fn of(kernels: &[&'static Kernel]) -> Vec<Shader> {
    let stores = |kernel: &'static Kernel| kernel.stores.iter().map(move |&store| (kernel, store));
    kernels
        .iter()
        .flat_map(|&kernel| stores(kernel))
        .flat_map(|(kernel, store)| kernel.variants.iter().map(move |&overrides| Shader { kernel, store, overrides }))
        .collect()
}

impl Shader {
    /// The linked source.
    #[must_use]
    pub fn source(&self, consumer: Consumer) -> String {
        link(self.kernel, self.store, consumer)
    }

    /// What the shader may use beyond core WGSL.
    fn capabilities(&self) -> Capabilities {
        // pack2x16float and unpack2x16float are core WGSL; naga counts them as a capability.
        let mut capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        capabilities.set(Capabilities::SHADER_FLOAT16, matches!(self.store, Store::F16 | Store::F16Matrix));
        capabilities.set(Capabilities::COOPERATIVE_MATRIX, self.store == Store::F16Matrix);
        capabilities.set(Capabilities::SUBGROUP_BARRIER, self.store == Store::F16Matrix);
        capabilities.set(Capabilities::SUBGROUP, self.kernel.subgroups);
        capabilities
    }

    /// Parses and validates the source.
    ///
    /// # Errors
    /// naga's message with the place in the source.
    pub fn parse(&self) -> Result<Resolved, String> {
        let source = self.source(Consumer::Naga);
        let module =
            naga::front::wgsl::parse_str(&source).map_err(|e| format!("{self}: {}", e.emit_to_string(&source)))?;
        let info = Validator::new(ValidationFlags::all(), self.capabilities())
            .validate(&module)
            .map_err(|e| format!("{self}: {}", e.emit_to_string(&source)))?;
        Ok(Resolved { module, info })
    }

    /// Parses, validates and puts in the values of the overrides.
    ///
    /// # Errors
    /// naga's message.
    pub fn resolve(&self) -> Result<Resolved, String> {
        let Resolved { module, info } = self.parse()?;
        let constants: PipelineConstants =
            self.overrides.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((naga::ShaderStage::Compute, "main"));
        let (module, info) = naga::back::pipeline_constants::process_overrides(&module, &info, entry, &constants)
            .map_err(|e| format!("{self}: {e}"))?;
        Ok(Resolved { module: module.into_owned(), info: info.into_owned() })
    }
}
