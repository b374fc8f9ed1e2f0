//! `model_index.json`: the class of the pipeline and of its components.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Checker;
use crate::error::Result;
use crate::strict_json::{self, StrictMap};

/// Pipelines whose components this engine knows.
const PIPELINES: [&str; 14] = [
    "StableDiffusionPipeline",
    "StableDiffusionImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusionDepth2ImgPipeline",
    "StableDiffusionInstructPix2PixPipeline",
    "StableDiffusionControlNetPipeline",
    "StableDiffusionControlNetImg2ImgPipeline",
    "StableDiffusionPanoramaPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionXLInpaintPipeline",
    "StableDiffusionXLInstructPix2PixPipeline",
    "StableDiffusionXLControlNetPipeline",
    "StableDiffusionXLControlNetImg2ImgPipeline",
];

/// Contents of `model_index.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelIndex {
    /// Class of the pipeline.
    pub _class_name: String,
    /// Version of diffusers that wrote the file.
    pub _diffusers_version: Option<String>,
    /// Present components: name to (library, class).
    pub components: BTreeMap<String, (String, String)>,
    /// Settings of the pipeline, such as `force_zeros_for_empty_prompt`.
    pub settings: BTreeMap<String, Value>,
}

impl ModelIndex {
    /// Reads and checks the text of a `model_index.json`; `file` names it in messages.
    pub fn from_json(file: &str, text: &str) -> Result<Self> {
        let pairs = strict_json::parse::<StrictMap<Value>>(file, text)?.0;
        let checker = Checker::new(file);
        let mut index = ModelIndex::default();
        for (key, value) in pairs {
            match (key.as_str(), &value) {
                ("_class_name", Value::String(class)) => index._class_name.clone_from(class),
                ("_diffusers_version", Value::String(version)) => index._diffusers_version = Some(version.clone()),
                (_, Value::Array(pair)) => match pair.as_slice() {
                    [Value::String(library), Value::String(class)] => {
                        index.components.insert(key, (library.clone(), class.clone()));
                    }
                    // Components that the pipeline can do without are written as [null, null].
                    [Value::Null, Value::Null] => {}
                    _ => {
                        index.settings.insert(key, value);
                    }
                },
                _ => {
                    index.settings.insert(key, value);
                }
            }
        }
        checker.one_of("_class_name", &index._class_name, &PIPELINES)?;
        Ok(index)
    }

    /// Class of a component, if the pipeline has it.
    pub fn class_of(&self, component: &str) -> Option<&str> {
        self.components.get(component).map(|(_, class)| class.as_str())
    }

    /// Whether the pipeline is of the SDXL family.
    pub fn is_sdxl(&self) -> bool {
        self._class_name.starts_with("StableDiffusionXL")
    }

    /// Whether the pipeline is SDXL's refiner, which conditions on an aesthetic score.
    pub fn is_refiner(&self) -> bool {
        self.settings.get("requires_aesthetics_score").and_then(Value::as_bool).unwrap_or(false)
    }

    /// Whether the UNet takes image latents beside the noise, as instruct-pix2pix does.
    pub fn is_instruct_pix2pix(&self) -> bool {
        self._class_name.contains("InstructPix2Pix")
    }

    /// SDXL's switch for an all-zero context when the negative prompt is empty.
    pub fn force_zeros_for_empty_prompt(&self) -> bool {
        // diffusers' default of the SDXL pipelines; the others have no such setting.
        self.settings.get("force_zeros_for_empty_prompt").and_then(Value::as_bool).unwrap_or(self.is_sdxl())
    }
}
