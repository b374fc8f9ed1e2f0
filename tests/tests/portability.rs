//! Every shader as the backends get it: SPIR-V (checked by the Khronos validator), Metal's and Direct3D's languages,
//! with and without run-time checks. What compiles on Vulkan here must not fail first on somebody's Mac.

use std::path::Path;
use std::process::Command;

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use syncline_tests::shaders::{Resolved, Shader, all, matrix};

/// Release builds run without checks, tests with them: both must be valid.
const CHECKED: [bool; 2] = [false, true];

fn policies(checked: bool) -> BoundsCheckPolicies {
    let policy = if checked { BoundsCheckPolicy::Restrict } else { BoundsCheckPolicy::Unchecked };
    BoundsCheckPolicies { index: policy, buffer: policy, image_load: policy, binding_array: policy }
}

/// Runs `write` on every shader, checked and unchecked, and reports all failures together.
fn for_every_shader(write: impl Fn(&Shader, &Resolved, bool) -> Result<(), String>) {
    for_each(all(), write);
}

fn for_each(shaders: Vec<Shader>, write: impl Fn(&Shader, &Resolved, bool) -> Result<(), String>) {
    let mut failures = Vec::new();
    for shader in shaders {
        match shader.resolve() {
            Err(e) => failures.push(e),
            Ok(resolved) => {
                let errors = CHECKED.into_iter().filter_map(|checked| write(&shader, &resolved, checked).err());
                failures.extend(errors.map(|e| format!("{shader}: {e}")));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// What wgpu hands to the oldest drivers with 16-bit storage and to current ones: SPIR-V version and validator's target.
const SPIRV: [((u8, u8), &str); 2] = [((1, 3), "vulkan1.1"), ((1, 6), "vulkan1.3")];

fn spirv(resolved: &Resolved, lang_version: (u8, u8), checked: bool) -> Result<Vec<u32>, String> {
    let options = spv::Options {
        lang_version,
        bounds_check_policies: policies(checked),
        force_loop_bounding: checked,
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    spv::write_vec(&resolved.module, &resolved.info, &options, Some(&entry)).map_err(|e| e.to_string())
}

fn spirv_val(file: &Path, target: &str) -> Result<(), String> {
    let output = Command::new("spirv-val").args(["--target-env", target]).arg(file).output();
    let output = output.map_err(|e| format!("spirv-val does not run ({e}); install spirv-tools or run `make test`"))?;
    let text = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(()) } else { Err(text()) }
}

#[test]
fn spirv_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shader.spv");
    // An invalid module must be refused, or the validator is not one.
    std::fs::write(&file, [0u8; 20]).unwrap();
    let refusal = spirv_val(&file, "vulkan1.1").expect_err("spirv-val accepted zeros");
    assert!(!refusal.contains("does not run"), "{refusal}");
    for_every_shader(|_, resolved, checked| {
        for (version, target) in SPIRV {
            let words = spirv(resolved, version, checked)?;
            std::fs::write(&file, bytemuck::cast_slice::<u32, u8>(&words)).map_err(|e| e.to_string())?;
            spirv_val(&file, target)?;
        }
        Ok(())
    });
}

/// Vulkan alone: Metal's matrices are smaller, Direct3D has none. The validator knows the extension from 1.6 on.
#[test]
fn spirv_of_cooperative_matrices_is_written() {
    let shaders = matrix();
    assert!(!shaders.is_empty());
    for_each(shaders, |_, resolved, checked| {
        let words = spirv(resolved, (1, 6), checked)?;
        if words.len() > 100 { Ok(()) } else { Err(format!("{} words", words.len())) }
    });
}

#[test]
fn metal_source_is_written() {
    for_every_shader(|_, resolved, checked| {
        let options = msl::Options {
            lang_version: (2, 4),
            bounds_check_policies: policies(checked),
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: false,
            ..msl::Options::default()
        };
        let entry = (naga::ShaderStage::Compute, "main".to_owned());
        let pipeline = msl::PipelineOptions { entry_point: Some(entry), ..msl::PipelineOptions::default() };
        let written = msl::write_string(&resolved.module, &resolved.info, &options, &pipeline);
        let (source, translation) = written.map_err(|e| e.to_string())?;
        let names = translation.entry_point_names;
        if source.contains("kernel void") && names.iter().all(Result::is_ok) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    });
}

#[test]
fn direct3d_source_is_written() {
    for_every_shader(|_, resolved, checked| {
        let options = hlsl::Options {
            // f16 in buffers needs 6.2.
            shader_model: hlsl::ShaderModel::V6_2,
            restrict_indexing: checked,
            force_loop_bounding: checked,
            zero_initialize_workgroup_memory: false,
            ..hlsl::Options::default()
        };
        let pipeline = hlsl::PipelineOptions { entry_point: Some((naga::ShaderStage::Compute, "main".to_owned())) };
        let mut source = String::new();
        let mut writer = hlsl::Writer::new(&mut source, &options, &pipeline);
        let written = writer.write(&resolved.module, &resolved.info, None).map_err(|e| e.to_string())?;
        let names = written.entry_point_names;
        if source.contains("[numthreads(") && names.iter().all(Result::is_ok) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    });
}
