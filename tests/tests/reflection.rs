//! One truth: a kernel's descriptor beside its source, compared with what naga reads out of the source.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use naga::valid::GlobalUse;
use naga::{AddressSpace, GlobalVariable, Handle, StorageAccess};
use syncline_kernels::gpu::{Access, Kernel, Store};
use syncline_kernels::ops::matrix as matrix_ops;
use syncline_kernels::ops::{KERNELS, kernels_matrix};
use syncline_kernels::wgsl::{Consumer, head, link};
use syncline_tests::shaders::{Resolved, Shader, all, matrix};

/// WebGPU's default limits, which every device has.
const MAX_STORAGE_BUFFERS: usize = 8;
const MAX_WORKGROUP_SIZE: [u32; 3] = [256, 256, 64];
/// What a workgroup may use.
struct Limits {
    bytes: u32,
    invocations: u32,
}

impl Limits {
    const WEBGPU: Self = Self { bytes: 16 * 1024, invocations: 256 };
    /// What adapters with cooperative matrices of 16x16 have at least. Launchers ask the adapter besides.
    const MATRIX: Self = Self { bytes: 48 * 1024, invocations: 256 };
}

/// Spacing of params in the uniform buffer.
const MAX_PARAMS: usize = 256;

/// Globals by (group, binding), and those without a binding.
type Bindings<'a> = BTreeMap<(u32, u32), (Handle<GlobalVariable>, &'a GlobalVariable)>;

fn bindings<'a>(shader: &Shader, resolved: &'a Resolved) -> Bindings<'a> {
    let mut found = BTreeMap::new();
    for (handle, global) in resolved.module.global_variables.iter() {
        let Some(at) = &global.binding else {
            let private = matches!(global.space, AddressSpace::WorkGroup | AddressSpace::Private);
            assert!(private, "{shader}: {:?} has no binding", global.name);
            continue;
        };
        let twice = found.insert((at.group, at.binding), (handle, global));
        assert!(twice.is_none(), "{shader}: group {} binding {} twice", at.group, at.binding);
    }
    found
}

fn size_of(resolved: &Resolved, global: &GlobalVariable) -> u32 {
    resolved.module.types[global.ty].inner.size(resolved.module.to_ctx())
}

/// Group 0: storage in order, with the declared access and no more use than declared.
fn check_storage(shader: &Shader, resolved: &Resolved, found: &Bindings<'_>) {
    let access = shader.kernel.access;
    assert!(access.len() <= MAX_STORAGE_BUFFERS, "{shader}: {} storage buffers", access.len());
    let group0: Vec<u32> = found.keys().filter(|(group, _)| *group == 0).map(|(_, binding)| *binding).collect();
    assert_eq!(group0, (0..access.len() as u32).collect::<Vec<_>>(), "{shader}: bindings of group 0");
    let entry = resolved.info.get_entry_point(0);
    for (binding, declared) in (0..).zip(access) {
        let (handle, global) = found[&(0, binding)];
        let mut expected = StorageAccess::LOAD;
        expected.set(StorageAccess::STORE, *declared != Access::Read);
        assert_eq!(
            global.space,
            AddressSpace::Storage { access: expected },
            "{shader}: binding {binding} {declared:?}"
        );
        let used = entry[handle];
        let reads = used.contains(GlobalUse::READ);
        // A plan may give memory of unknown content to what is declared Write. ReadWrite may also be a partial write.
        match declared {
            Access::Read => {}
            Access::Write => assert!(!reads, "{shader}: binding {binding} is declared Write and is read"),
            Access::ReadWrite => {
                assert!(
                    used.contains(GlobalUse::WRITE),
                    "{shader}: binding {binding} is declared ReadWrite, used {used:?}"
                );
            }
        }
    }
    let inputs_first = access.iter().skip_while(|a| **a == Access::Read).all(|a| *a != Access::Read);
    assert!(inputs_first, "{shader}: inputs after outputs in {access:?}");
}

/// Group 1: the uniform params and nothing else.
fn check_params(shader: &Shader, resolved: &Resolved, found: &Bindings<'_>) {
    let params = shader.kernel.params;
    assert!(params <= MAX_PARAMS && params.is_multiple_of(16), "{shader}: {params} bytes of params");
    match found.get(&(1, 0)) {
        None => assert_eq!(params, 0, "{shader}: the source has no params"),
        Some((_, global)) => {
            assert_eq!(global.space, AddressSpace::Uniform, "{shader}: params");
            assert_eq!(
                size_of(resolved, global) as usize,
                params,
                "{shader}: bytes of params in source and descriptor"
            );
        }
    }
    let others: Vec<_> = found.keys().filter(|(group, binding)| *group > 0 && (*group, *binding) != (1, 0)).collect();
    assert!(others.is_empty(), "{shader}: bindings {others:?} outside group 0 and params");
}

/// Workgroups that any WebGPU device runs.
fn check_workgroup(shader: &Shader, resolved: &Resolved, limits: &Limits) {
    let [entry] = &resolved.module.entry_points[..] else { panic!("{shader}: one entry point, please") };
    assert!(entry.name == "main" && entry.stage == naga::ShaderStage::Compute, "{shader}: entry {}", entry.name);
    let size = entry.workgroup_size;
    let fits = size.iter().zip(MAX_WORKGROUP_SIZE).all(|(size, limit)| (1..=limit).contains(size));
    assert!(fits && size.iter().product::<u32>() <= limits.invocations, "{shader}: workgroup size {size:?}");
    let info = resolved.info.get_entry_point(0);
    let bytes: u32 = (resolved.module.global_variables.iter())
        .filter(|(handle, global)| global.space == AddressSpace::WorkGroup && !info[*handle].is_empty())
        .map(|(_, global)| size_of(resolved, global).next_multiple_of(16))
        .sum();
    assert!(bytes <= limits.bytes, "{shader}: {bytes} bytes of workgroup memory");
}

/// Every override has a value, and every value an override.
fn check_overrides(shader: &Shader) {
    let module = shader.parse().unwrap_or_else(|e| panic!("{e}")).module;
    let given: HashSet<&str> = shader.overrides.iter().map(|(name, _)| *name).collect();
    assert_eq!(given.len(), shader.overrides.len(), "{shader}: a name twice");
    let names: Vec<_> = module.overrides.iter().filter_map(|(_, o)| Some((o.name.as_deref()?, o.init))).collect();
    for (name, init) in &names {
        assert!(init.is_some() || given.contains(name), "{shader}: override {name} has no value");
    }
    for name in given {
        assert!(names.iter().any(|(other, _)| *other == name), "{shader}: no override {name} in the source");
    }
}

#[test]
fn descriptors_agree_with_the_sources_in_every_variant() {
    for (shaders, limits) in [(all(), Limits::WEBGPU), (matrix(), Limits::MATRIX)] {
        for shader in &shaders {
            check_overrides(shader);
            let resolved = shader.resolve().unwrap_or_else(|e| panic!("{e}"));
            let found = bindings(shader, &resolved);
            check_storage(shader, &resolved, &found);
            check_params(shader, &resolved, &found);
            check_workgroup(shader, &resolved, &limits);
        }
        println!("{} shaders", shaders.len());
    }
}

#[test]
fn no_kernel_is_listed_twice_and_each_has_a_variant() {
    // One name may have several sources (tiles written for a size), but not one source twice.
    let linked = |kernel: &Kernel| link(kernel, kernel.stores[0], Consumer::Naga);
    let distinct: HashSet<_> =
        KERNELS.iter().copied().chain(kernels_matrix()).map(|kernel| (kernel.name, linked(kernel))).collect();
    assert_eq!(distinct.len(), KERNELS.len() + kernels_matrix().len(), "a kernel twice");
    for kernel in KERNELS.iter().copied().chain(kernels_matrix()) {
        assert!(!kernel.variants.is_empty() && !kernel.stores.is_empty(), "{}", kernel.name);
        let distinct: HashSet<String> = kernel.variants.iter().map(|variant| format!("{variant:?}")).collect();
        assert_eq!(distinct.len(), kernel.variants.len(), "{}: a variant twice", kernel.name);
    }
}

/// A descriptor that is not in the registry escapes every test here.
#[test]
fn every_public_descriptor_is_registered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels/src/ops");
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let registry = read(&folder.join("mod.rs"));
    let mut found = 0;
    for op in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let module = op.file_name().and_then(|name| name.to_str()).unwrap();
        let source = read(&op.join("mod.rs"));
        for line in source.lines().filter(|line| line.starts_with("pub const ") && line.contains(": Kernel =")) {
            let name = line["pub const ".len()..].split(':').next().unwrap();
            assert!(registry.contains(&format!("&{module}::{name},")), "ops::KERNELS lacks {module}::{name}");
            found += 1;
        }
    }
    assert_eq!(
        found,
        KERNELS.len() + kernels_matrix().len() - matrix_ops::all().len(),
        "descriptors found in the sources and registered"
    );
}

#[test]
fn heads_are_one_line_so_that_error_lines_are_those_of_the_file() {
    for store in Store::ALL {
        for consumer in [Consumer::Naga, Consumer::WebGpu] {
            assert!(!head(store, true, consumer).contains('\n'));
        }
    }
}
