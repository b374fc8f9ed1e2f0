//! α where a trainer writes it beside the tensors instead of among them.

use std::path::Path;

use serde_json::Value;

use crate::error::{Detail, LoadError, Result};
use crate::strict_json;
use crate::table::Table;

/// What PEFT's `adapter_config.json` or diffusers' header metadata say.
#[derive(Debug, Default)]
pub struct Settings {
    values: Value,
}

/// Settings that change how products are formed and are not supported: key, and the value that does nothing.
const UNSUPPORTED: [(&str, &str); 5] = [
    ("use_dora", "DoRA"),
    ("use_rslora", "rank-stabilised scaling"),
    ("alpha_pattern", "α by layer"),
    ("fan_in_fan_out", "transposed weights"),
    ("lora_bias", "biases"),
];

impl Settings {
    /// Reads what belongs to the file `path` with header `table`.
    pub fn of(path: &Path, table: &Table) -> Result<Settings> {
        let beside = path.with_file_name("adapter_config.json");
        let metadata =
            table.metadata().find(|(key, _)| *key == "lora_adapter_metadata").map(|(_, text)| text.to_owned());
        let (label, text) = match metadata {
            Some(text) => (path.display().to_string(), text),
            None if beside.is_file() => (beside.display().to_string(), strict_json::read_text(&beside)?),
            None => return Ok(Settings::default()),
        };
        let values: Value = strict_json::parse(&label, &text)?;
        let set = |value: &Value| match value {
            Value::Bool(set) => *set,
            Value::Object(map) => !map.is_empty(),
            _ => false,
        };
        for (key, value) in values.as_object().into_iter().flatten() {
            let name = key.rsplit('.').next().unwrap_or(key);
            if let Some((_, kind)) = UNSUPPORTED.iter().find(|(known, _)| *known == name && set(value)) {
                let detail = Detail::new(&label, format!("the LoRA uses {kind}, which is not supported")).item(key);
                let detail = detail.found(value.to_string()).expected("a plain LoRA");
                return Err(LoadError::UnsupportedConfig(Box::new(detail.next("get or train the plain LoRA of it"))));
            }
        }
        Ok(Settings { values })
    }

    /// α of all layers of a component.
    pub fn alpha(&self, component: &str) -> Option<f64> {
        let of_component = self.values.get(format!("{component}.lora_alpha"));
        of_component.or_else(|| self.values.get("lora_alpha")).and_then(Value::as_f64).filter(|alpha| alpha.is_finite())
    }
}
