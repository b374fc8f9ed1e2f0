//! Files that are loaded beside a model.

use std::path::PathBuf;

use clap::Args;

/// Files beside the model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files beside the model")]
pub struct ExtraArgs {
    /// LoRA to merge into the weights, with its weight: --lora style.safetensors:0.8; may be given several times
    #[arg(long, value_name = "FILE[:WEIGHT]")]
    pub lora: Vec<String>,
    /// Textual-inversion embedding (.safetensors); the file's name is its word in the prompt; may be given several times
    #[arg(long, value_name = "FILE")]
    pub embedding: Vec<PathBuf>,
    /// Take the text from an earlier layer of the text encoder, counted from the end: 1 is the last one, 2 the one before
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub clip_skip: usize,
    /// VAE from another file or directory
    #[arg(long, value_name = "PATH")]
    pub vae: Option<PathBuf>,
    /// UNet from another file or directory
    #[arg(long, value_name = "PATH")]
    pub unet: Option<PathBuf>,
    /// Text encoder from another file or directory
    #[arg(long, value_name = "PATH")]
    pub text_encoder: Option<PathBuf>,
    /// Second text encoder (SDXL) from another file or directory
    #[arg(long, value_name = "PATH")]
    pub text_encoder_2: Option<PathBuf>,
}

impl ExtraArgs {
    /// Components from other files, by name.
    pub fn components(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let all = [
            ("unet", &self.unet),
            ("vae", &self.vae),
            ("text_encoder", &self.text_encoder),
            ("text_encoder_2", &self.text_encoder_2),
        ];
        all.into_iter().filter_map(|(component, path)| Some((component, path.as_ref()?)))
    }

    /// What a picture's metadata say of them; nothing where there are none.
    pub fn told(&self) -> Vec<(String, String)> {
        let lora = self.lora.iter().enumerate().map(|(i, text)| (format!("LoRA {i}"), text.clone()));
        let embedding = self.embedding.iter().enumerate();
        let embedding = embedding.map(|(i, path)| (format!("Embedding {i}"), path.display().to_string()));
        let part = self.components().map(|(name, path)| (format!("Component {name}"), path.display().to_string()));
        let skip = (self.clip_skip != 1).then(|| ("Clip skip".to_owned(), self.clip_skip.to_string()));
        lora.chain(embedding).chain(part).chain(skip).collect()
    }

    /// LoRAs and their weights; 1 where none is given. What exists with its colon is a path.
    pub fn loras(&self) -> impl Iterator<Item = (PathBuf, f64)> {
        self.lora.iter().map(|text| {
            let split = text.rsplit_once(':').filter(|_| !PathBuf::from(text).exists());
            match split.and_then(|(path, weight)| Some((path, weight.parse().ok()?))) {
                Some((path, weight)) => (path.into(), weight),
                None => (text.into(), 1.0),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_follows_the_last_colon() {
        #[derive(clap::Parser)]
        struct Only {
            #[command(flatten)]
            extras: ExtraArgs,
        }
        let of = |text: &str| {
            let only = <Only as clap::Parser>::parse_from(["syncline", "--lora", text]);
            only.extras.loras().next().unwrap()
        };
        assert_eq!(of("a.safetensors:0.8"), ("a.safetensors".into(), 0.8));
        assert_eq!(of("a.safetensors:-1"), ("a.safetensors".into(), -1.0));
        assert_eq!(of("C:\\a.safetensors"), ("C:\\a.safetensors".into(), 1.0));
        assert_eq!(of("C:\\a.safetensors:2"), ("C:\\a.safetensors".into(), 2.0));
    }
}
