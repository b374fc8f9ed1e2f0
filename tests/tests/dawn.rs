//! The sources in a second WebGPU implementation: every shader compiles in Dawn (Chrome), and kernels of every kind give
//! there what they give in wgpu. See `tests/dawn/README.md`. Needs node and npm; fails without them.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its data has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use half::f16;
use serde_json::{Value, json};
use syncline_kernels::check::{Draw, Variant, nmse, variants};
use syncline_kernels::gpu::{Access, DispatchView, Recorder, Store};
use syncline_kernels::ops::couple::{self, Couple, CoupleScalars};
use syncline_kernels::ops::fuse_views::{FuseScalars, FuseViews, Weight, fuse_views};
use syncline_kernels::ops::noise::{Noise, NoiseKey, noise};
use syncline_kernels::ops::project_renoise::{ProjectRenoise, Projection, RenoiseScalars, project_renoise};
use syncline_kernels::ops::step::{Step, StepNoise, StepScalars, step};
use syncline_kernels::ops::views::{Camera, Geometry, Interpolation, Lens, rotation, upload_words};
use syncline_kernels::ops::{attention, conv2d, gemm, layer_norm};
use syncline_kernels::tensor::{Elem, Tensor};
use syncline_kernels::wgsl::Consumer;
use syncline_tests::shaders::{Shader, all};

/// Two compilers may contract multiply-adds differently; nothing else may differ.
const F32_BOUND: f64 = 1e-10;
/// A difference in the last f32 bit can move an f16 result to its neighbour, 2^-11 away, rarely.
const F16_BOUND: f64 = 1e-7;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dawn")
}

fn run_tool(tool: &str, args: &[&str], folder: &Path) {
    let output = Command::new(tool).args(args).current_dir(folder).output();
    let output =
        output.unwrap_or_else(|e| panic!("{tool} does not run ({e}): install nodejs and npm, or run `make test`"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{tool} {args:?}: {}{}", text(&output.stdout), text(&output.stderr));
}

/// Installs the pinned package unless it is there.
fn install() {
    let read = |file: &str| -> Option<Value> { serde_json::from_slice(&fs::read(project().join(file)).ok()?).ok() };
    let pinned = read("package.json").unwrap()["dependencies"]["webgpu"].clone();
    let installed = read("node_modules/webgpu/package.json").map(|package| package["version"].clone());
    if installed != Some(pinned) {
        run_tool("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"], &project());
    }
}

/// A tensor and its bytes in host memory order, pad lanes included.
fn words(variant: &Variant, tensor: &Tensor) -> Vec<u32> {
    variant.ctx.read_tensor_words(tensor).unwrap()
}

fn values(words: &[u32], elem: Elem) -> Vec<f64> {
    match elem {
        Elem::F32 => words.iter().map(|&w| f64::from(f32::from_bits(w))).collect(),
        Elem::F16 => {
            words.iter().flat_map(|&w| [w as u16, (w >> 16) as u16]).map(|h| f16::from_bits(h).into()).collect()
        }
        Elem::U32 => words.iter().map(|&w| f64::from(w)).collect(),
    }
}

/// What Dawn is asked for and what wgpu gave.
#[derive(Default)]
struct Suite {
    shaders: Vec<Shader>,
    cases: Vec<Value>,
    /// Case, binding, element type, words.
    expected: Vec<(String, usize, Elem, Vec<u32>)>,
}

impl Suite {
    /// Which shader a dispatch uses. Launchers may only ask for what their descriptor lists.
    fn shader_of(&self, view: &DispatchView<'_>) -> usize {
        let sorted = |list: &[(&'static str, f64)]| {
            let mut list = list.to_vec();
            list.sort_by_key(|(name, _)| *name);
            list
        };
        // Descriptors are constants and have no address of their own; one name may have several sources.
        let same = |s: &Shader| {
            (s.kernel.name, s.kernel.source, s.kernel.libs) == (view.kernel.name, view.kernel.source, view.kernel.libs)
                && (s.store, sorted(s.overrides)) == (view.store, sorted(view.overrides))
        };
        let found = self.shaders.iter().position(same);
        found.unwrap_or_else(|| {
            panic!("{} {:?} {:?} is not in the registry", view.kernel.name, view.store, view.overrides)
        })
    }

    /// Runs one dispatch in wgpu and writes down everything around it.
    fn case(&mut self, folder: &Path, variant: &Variant, record: impl FnOnce(&mut Recorder)) {
        let mut rec = Recorder::new(&variant.ctx);
        record(&mut rec);
        let mut recording = rec.finish().unwrap();
        let view = recording.inspect().next().unwrap();
        let shader = self.shader_of(&view);
        let name = format!("{}-{}", self.cases.len(), view.kernel.name);
        let (bind, access) = (view.bind.to_vec(), view.kernel.access);
        let write = |suffix: &str, bytes: &[u8]| {
            let file = format!("{name}.{suffix}");
            fs::write(folder.join(&file), bytes).unwrap();
            file
        };
        let params = write("params", view.params);
        let inputs: Vec<String> = (bind.iter().enumerate())
            .map(|(at, tensor)| write(&format!("{at}.in"), bytemuck::cast_slice(&words(variant, tensor))))
            .collect();
        let case = json!({ "name": name, "shader": shader, "grid": view.grid, "params": params, "bindings": inputs });
        assert_eq!(recording.len(), 1, "{name}: a case is one dispatch");
        recording.run().unwrap();
        for (at, tensor) in bind.iter().enumerate().filter(|(at, _)| access[*at] != Access::Read) {
            self.expected.push((name.clone(), at, tensor.elem(), words(variant, tensor)));
        }
        self.cases.push(case);
    }

    fn write_manifest(&self, folder: &Path) {
        let shaders: Vec<Value> = (self.shaders.iter().enumerate())
            .map(|(at, shader)| {
                let file = format!("{at}.wgsl");
                fs::write(folder.join(&file), shader.source(Consumer::WebGpu)).unwrap();
                let overrides: serde_json::Map<_, _> =
                    shader.overrides.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                let access: Vec<_> = shader.kernel.access.iter().map(|access| format!("{access:?}")).collect();
                let used = [("shader-f16", shader.store == Store::F16), ("subgroups", shader.kernel.subgroups)];
                let features: Vec<_> = used.iter().filter(|(_, used)| *used).map(|(name, _)| name).collect();
                let name = shader.to_string();
                json!({ "name": name, "file": file, "overrides": overrides, "access": access, "features": features })
            })
            .collect();
        let manifest = json!({ "shaders": shaders, "cases": self.cases });
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    }

    /// Compares what Dawn left behind; returns how many bindings were compared.
    fn compare(&self, folder: &Path, ran: &[&str]) -> usize {
        let mut compared = 0;
        for (name, binding, elem, expected) in &self.expected {
            if !ran.contains(&name.as_str()) {
                continue;
            }
            let bytes = fs::read(folder.join(format!("{name}.{binding}.out"))).unwrap();
            let got = values(&bytemuck::pod_collect_to_vec(&bytes), *elem);
            let expected = values(expected, *elem);
            assert_eq!(got.len(), expected.len(), "{name} binding {binding}");
            let error = nmse(&got, &expected);
            let bound = if *elem == Elem::F16 { F16_BOUND } else { F32_BOUND };
            println!("{name} binding {binding}: {} values, NMSE {error:.1e}", got.len());
            // Written so that NaN fails.
            assert!(error <= bound && expected.iter().any(|v| *v != 0.0), "{name} binding {binding}: NMSE {error:e}");
            compared += 1;
        }
        compared
    }
}

/// Products, convolution, attention, a norm.
fn add_network_cases(suite: &mut Suite, folder: &Path, variant: &Variant) {
    let mut draw = Draw::new(7);
    let mut normal = |dims: &[usize]| variant.normal(&mut draw, dims).unwrap().0;
    let (a, w, bias) = (normal(&[2, 37, 40]), normal(&[24, 40]), normal(&[24]));
    suite.case(folder, variant, |rec| {
        gemm::gemm(
            rec,
            &gemm::Gemm { bias: Some(&bias), activation: gemm::Activation::Silu, ..gemm::Gemm::new(&a, &w) },
        );
    });
    let (image, kernel) = (normal(&[1, 9, 11, 8]), normal(&[12, 3, 3, 8]));
    suite.case(folder, variant, |rec| {
        conv2d::conv2d(rec, &conv2d::Conv2d::new(&image, &kernel));
    });
    let (q, k, v) = (normal(&[1, 33, 32]), normal(&[1, 20, 32]), normal(&[1, 20, 32]));
    suite.case(folder, variant, |rec| {
        attention::attention(rec, &attention::Attention { q: &q, k: &k, v: &v, heads: 2, causal: false });
    });
    let (x, weight, bias) = (normal(&[3, 5, 36]), normal(&[36]), normal(&[36]));
    suite.case(folder, variant, |rec| {
        layer_norm::layer_norm(rec, &layer_norm::LayerNorm { x: &x, weight: &weight, bias: &bias, eps: 1e-5 });
    });
}

/// Noise, a sampler step, gathering and fusing views.
fn add_sampling_cases(suite: &mut Suite, folder: &Path, variant: &Variant) {
    let mut draw = Draw::new(8);
    let dims = [2, 8, 8, 4];
    let views = variant.ctx.upload_u32(&[3, 1], &[2]).unwrap();
    let key = NoiseKey { seed: 0x0123_4567_89ab_cdef, trajectory: 1, purpose: 2 << 16, step: 5 };
    suite.case(folder, variant, |rec| {
        noise(rec, &Noise { dims: [2, 5, 7, 3], key, views: &views });
    });
    let mut float = |dims: &[usize]| {
        let values: Vec<f64> = (0..dims.iter().product()).map(|_| draw.normal()).collect();
        variant.tensor_as(&values, dims, Elem::F32).unwrap().0
    };
    let (x, clean) = (float(&dims), float(&dims));
    let (canvas, coverage) = (float(&[16, 30, 3]), float(&[16, 30]));
    let out = variant.normal(&mut Draw::new(9), &[4, 8, 8, 4]).unwrap().0;
    let scalars = StepScalars {
        guidance: [-6.5, 7.5, 0.0, 0.0],
        clean_x: 1.2,
        clean_out: -0.7,
        next_x: 0.4,
        next_clean: 0.6,
        next_prev_clean: -0.1,
        next_noise: 0.3,
        key,
        ..StepScalars::default()
    };
    suite.case(folder, variant, |rec| {
        let noise = StepNoise::Keyed(&views);
        step(rec, &Step { x: &x, out: &out, clean: &clean, noise, scalars });
    });
    suite.case(folder, variant, |rec| {
        let scalars = CoupleScalars { push: [0.1; couple::MAX_BRANCHES], first_view: 0 };
        couple::couple(rec, &Couple { x: &x, clean: &clean, branches: 2, scalars });
    });
    let turned = |azimuth: f64| Camera::centred(rotation(azimuth, 0.3, 0.1), 1.2, [12, 10]);
    let words = upload_words(&variant.ctx, &[turned(3.0).words(), turned(-0.4).words()]).unwrap();
    let lens = Lens { geometry: Geometry::Equirect, interpolation: Interpolation::Bilinear, words: &words };
    suite.case(folder, variant, |rec| {
        let projection = Projection::Views { lens, size: [10, 12] };
        let scalars = RenoiseScalars { signal: 0.8, sigma: 0.6, gain: 2.0, offset: -1.0, key };
        project_renoise(
            rec,
            &ProjectRenoise { canvas: &canvas, projection, views: &views, scalars, elem: variant.elem },
        );
    });
    let images = variant.normal(&mut Draw::new(10), &[2, 10, 12, 3]).unwrap().0;
    suite.case(folder, variant, |rec| {
        let scalars = FuseScalars { blend: 0.7, clamp: Some([-0.9, 0.9]), ..FuseScalars::default() };
        let (canvas, coverage, views, weight) = (&canvas, &coverage, &images, Weight::Cosine);
        fuse_views(rec, &FuseViews { canvas, coverage, views, lens, regions: None, weight, scalars });
    });
}

/// The five shaders that took longest to compile, with seconds.
fn slowest(report: &Value) -> Vec<(String, f64)> {
    let pairs = report["seconds"].as_array().into_iter().flatten();
    let mut list: Vec<_> = pairs.filter_map(|p| Some((p[0].as_str()?.to_owned(), p[1].as_f64()?))).collect();
    list.sort_by(|a, b| b.1.total_cmp(&a.1));
    list.truncate(5);
    list
}

#[test]
fn dawn_compiles_every_shader_and_agrees_with_wgpu() {
    install();
    let folder = tempfile::tempdir().unwrap();
    let mut suite = Suite { shaders: all(), ..Suite::default() };
    for variant in variants().unwrap().iter().filter(|variant| variant.name != "f32, default limits") {
        add_network_cases(&mut suite, folder.path(), variant);
        add_sampling_cases(&mut suite, folder.path(), variant);
    }
    suite.write_manifest(folder.path());
    let path = folder.path().to_str().unwrap();
    run_tool("node", &["run.mjs", path], &project());
    let report: Value = serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    let failures = report["failures"].as_array().unwrap();
    let texts: Vec<_> = failures.iter().filter_map(Value::as_str).collect();
    assert!(texts.is_empty(), "{} failures in Dawn:\n{}", texts.len(), texts.join("\n"));
    let skipped = report["skipped"].as_array().unwrap().len();
    assert_eq!(report["compiled"].as_u64().unwrap() as usize + skipped, suite.shaders.len());
    // Only what needs f16 or subgroups may be left out, and only on an adapter without them.
    let complete = report["features"].as_array().unwrap().len() == 2;
    assert!(skipped == 0 || !complete, "{skipped} shaders skipped");
    let ran: Vec<&str> = report["ran"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let compared = suite.compare(folder.path(), &ran);
    println!("{}: {} shaders compiled, {skipped} skipped", report["adapter"], report["compiled"]);
    println!("slowest compilations: {:.1?}", slowest(&report));
    println!("{} cases, {compared} tensors compared", ran.len());
    assert!(skipped > 0 || ran.len() == suite.cases.len());
    assert!(ran.len() >= 16, "only {} cases ran", ran.len());
}
