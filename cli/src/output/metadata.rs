//! Generation parameters in the form of AUTOMATIC1111's web UI, which most picture tools read:
//!
//! ```text
//! prompt, over one or more lines
//! Negative prompt: over one or more lines
//! Steps: 25, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1, Size: 512x512, Model: name, Version: syncline 0.1.0
//! ```
//!
//! The form is ambiguous where a line of the prompt itself begins with `Negative prompt:`; the JSON beside it is exact.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use thiserror::Error;

const NEGATIVE: &str = "Negative prompt:";

/// How a picture was made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GenerationParameters {
    /// What to draw.
    pub prompt: String,
    /// What not to draw; empty: none.
    pub negative_prompt: String,
    /// Denoising steps.
    pub steps: u32,
    /// Sampler.
    pub sampler: Option<String>,
    /// Classifier-free guidance scale.
    pub cfg_scale: Option<f64>,
    /// Seed of the noise.
    pub seed: Option<u64>,
    /// Width and height in pixels.
    pub size: Option<(u32, u32)>,
    /// First ten hex digits of the SHA-256 of the weights.
    pub model_hash: Option<String>,
    /// Name of the weights.
    pub model: Option<String>,
    /// Everything else, in order: `Views`, `Method` … Names are letters, digits, spaces, `_`, `-` and `/`.
    pub extra: Vec<(String, String)>,
    /// Program and version.
    pub version: Option<String>,
}

/// Why a text is not in the form above.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The last line is something else.
    #[error("the last line does not begin with `Steps: `; found '{found}'")]
    NoSteps {
        /// Its beginning.
        found: String,
    },
    /// A value that is not what its name says.
    #[error("{name}: expected {expected}, found '{found}'")]
    Value {
        /// Name of the field.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
}

impl fmt::Display for GenerationParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.prompt.is_empty() {
            writeln!(f, "{}", self.prompt)?;
        }
        if !self.negative_prompt.is_empty() {
            writeln!(f, "{NEGATIVE} {}", self.negative_prompt)?;
        }
        let number = |value: Option<String>| value.unwrap_or_default();
        let mut line = format!("Steps: {}", self.steps);
        let mut pair = |name: &str, value: &str| {
            if value.is_empty() { Ok(()) } else { write!(line, ", {name}: {}", quoted(value)) }
        };
        pair("Sampler", self.sampler.as_deref().unwrap_or_default())?;
        pair("CFG scale", &number(self.cfg_scale.map(|v| v.to_string())))?;
        pair("Seed", &number(self.seed.map(|v| v.to_string())))?;
        pair("Size", &number(self.size.map(|(w, h)| format!("{w}x{h}"))))?;
        pair("Model hash", self.model_hash.as_deref().unwrap_or_default())?;
        pair("Model", self.model.as_deref().unwrap_or_default())?;
        for (name, value) in &self.extra {
            pair(name, value)?;
        }
        pair("Version", self.version.as_deref().unwrap_or_default())?;
        f.write_str(&line)
    }
}

impl GenerationParameters {
    /// Reads the text form, ours or another tool's.
    ///
    /// # Errors
    /// When there is no parameter line or a number in it is none.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let (before, last) = text.rsplit_once('\n').map_or((None, text), |(before, last)| (Some(before), last));
        if !last.starts_with("Steps: ") {
            return Err(ParseError::NoSteps { found: last.chars().take(60).collect() });
        }
        let mut parsed = Self::default();
        if let Some(before) = before {
            (parsed.prompt, parsed.negative_prompt) = prompts(before);
        }
        for (name, value) in pairs(last) {
            parsed.set(name, value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), ParseError> {
        match name {
            "Steps" => self.steps = parse_as("Steps", "a number", &value)?,
            "Sampler" => self.sampler = Some(value),
            "CFG scale" => self.cfg_scale = Some(parse_as("CFG scale", "a number", &value)?),
            "Seed" => self.seed = Some(parse_as("Seed", "a whole number from 0", &value)?),
            "Size" => {
                let expected = "WIDTHxHEIGHT";
                let Some((w, h)) = value.split_once('x') else {
                    return Err(ParseError::Value { name: "Size", expected, found: value });
                };
                self.size = Some((parse_as("Size", expected, w)?, parse_as("Size", expected, h)?));
            }
            "Model hash" => self.model_hash = Some(value),
            "Model" => self.model = Some(value),
            "Version" => self.version = Some(value),
            _ => self.extra.push((name.to_owned(), value)),
        }
        Ok(())
    }
}

fn parse_as<T: std::str::FromStr>(name: &'static str, expected: &'static str, value: &str) -> Result<T, ParseError> {
    value.parse().map_err(|_| ParseError::Value { name, expected, found: value.to_owned() })
}

/// The lines before the parameter line, cut at the first that begins with `Negative prompt:`.
fn prompts(text: &str) -> (String, String) {
    let negative_at = if text.starts_with(NEGATIVE) {
        Some(0)
    } else {
        text.match_indices('\n').map(|(i, _)| i + 1).find(|&i| text[i..].starts_with(NEGATIVE))
    };
    match negative_at {
        None => (text.to_owned(), String::new()),
        Some(at) => {
            let negative = &text[at + NEGATIVE.len()..];
            let prompt = text[..at].strip_suffix('\n').unwrap_or_default();
            (prompt.to_owned(), negative.strip_prefix(' ').unwrap_or(negative).to_owned())
        }
    }
}

/// Values that would end early or lose spaces are written as JSON strings, as the web UI does.
fn quoted(value: &str) -> String {
    let plain = !value.contains([',', ':', '\n', '"']) && value.trim() == value;
    if plain { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

/// `name: value` pairs of the last line, values plain up to a comma or quoted. What is neither is left out.
fn pairs(mut line: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = line.split_once(':') {
        let rest = rest.trim_start();
        let value;
        if let Some((text, after)) = json_string(rest) {
            (value, line) = (text, after);
        } else {
            let (plain, after) = rest.split_once(',').unwrap_or((rest, ""));
            (value, line) = (plain.trim_end().to_owned(), after);
        }
        found.push((name.trim_matches([',', ' ']), value));
    }
    found
}

/// A JSON string at the beginning of `text`, and what follows it.
fn json_string(text: &str) -> Option<(String, &str)> {
    if !text.starts_with('"') {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, &text[values.byte_offset()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> GenerationParameters {
        GenerationParameters {
            prompt: "sunset over desert dunes,\nwith (distant:1.2) mountains".into(),
            negative_prompt: "blurry, text".into(),
            steps: 25,
            sampler: Some("DPM++ 2M".into()),
            cfg_scale: Some(7.5),
            seed: Some(u64::MAX),
            size: Some((1024, 512)),
            model_hash: Some("0123456789".into()),
            model: Some("mini, v1".into()),
            extra: vec![("Method".into(), "stochsync".into()), ("Views".into(), "5".into())],
            version: Some("syncline 0.1.0".into()),
        }
    }

    #[test]
    fn the_text_is_stable_and_comes_back() {
        let text = "sunset over desert dunes,\nwith (distant:1.2) mountains\nNegative prompt: blurry, text\n\
            Steps: 25, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 18446744073709551615, Size: 1024x512, \
            Model hash: 0123456789, Model: \"mini, v1\", Method: stochsync, Views: 5, Version: syncline 0.1.0";
        assert_eq!(full().to_string(), text);
        assert_eq!(GenerationParameters::parse(text), Ok(full()));
    }

    /// The layout the web UI itself writes, with fields we know nothing about.
    #[test]
    fn other_tools_pictures_are_read() {
        let text = "a cat\nNegative prompt: dog\nbird\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, \
            Size: 512x768, Model hash: 6ce0161689, Model: v1-5, Clip skip: 2, \
            Lora hashes: \"one: 12, two: 34\", Version: v1.6.0";
        let parsed = GenerationParameters::parse(text).unwrap();
        assert_eq!((parsed.prompt.as_str(), parsed.negative_prompt.as_str()), ("a cat", "dog\nbird"));
        assert_eq!((parsed.steps, parsed.cfg_scale, parsed.seed), (20, Some(7.0), Some(42)));
        assert_eq!(parsed.size, Some((512, 768)));
        let extra = [("Clip skip", "2"), ("Lora hashes", "one: 12, two: 34")];
        assert_eq!(parsed.extra, extra.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn what_is_not_in_the_form_is_named() {
        let parse = |text| GenerationParameters::parse(text).unwrap_err().to_string();
        assert_eq!(parse("just a prompt"), "the last line does not begin with `Steps: `; found 'just a prompt'");
        assert_eq!(parse("Steps: many"), "Steps: expected a number, found 'many'");
        assert_eq!(parse("Steps: 1, Seed: -1"), "Seed: expected a whole number from 0, found '-1'");
        assert_eq!(parse("Steps: 1, Size: 512"), "Size: expected WIDTHxHEIGHT, found '512'");
        assert_eq!(parse("Steps: 1, Size: 5x5x5"), "Size: expected WIDTHxHEIGHT, found '5x5'");
    }

    /// Prompts of any characters and lines, but none that begins like the marker of the next part.
    fn prompt() -> impl Strategy<Value = String> {
        any::<Vec<String>>()
            .prop_map(|lines| lines.join("\n"))
            .prop_filter("ambiguous in this form", |text| !text.lines().any(|line| line.starts_with(NEGATIVE)))
    }

    /// Scales as people type them. serde_json reads up to 15 digits exactly; of 17 it may lose the last bit.
    fn scale() -> impl Strategy<Value = f64> {
        (-1_000_000_000..1_000_000_000_i32).prop_map(|n| f64::from(n) / 1e6)
    }

    fn value() -> impl Strategy<Value = Option<String>> {
        prop_oneof![Just(None), "[ -~\n]{1,20}".prop_map(Some), any::<String>().prop_map(|s| Some(s + "."))]
    }

    proptest! {
        #[test]
        fn text_comes_back(
            (prompt, negative_prompt) in (prompt(), prompt()),
            steps: u32,
            numbers: (Option<u64>, Option<(u32, u32)>),
            cfg_scale in proptest::option::of(scale()),
            (sampler, model_hash, model, version) in (value(), value(), value(), value()),
            extra in proptest::collection::vec(("[A-Z][a-z]{2,8}s/[a-z]{1,9}", "[ -~]{1,12}"), 0..4),
        ) {
            let (seed, size) = numbers;
            let made = GenerationParameters {
                prompt, negative_prompt, steps, sampler, cfg_scale, seed, size, model_hash, model, extra, version,
            };
            prop_assert_eq!(&GenerationParameters::parse(&made.to_string()).unwrap(), &made);
            let json = serde_json::to_string(&made).unwrap();
            prop_assert_eq!(&serde_json::from_str::<GenerationParameters>(&json).unwrap(), &made);
        }

        #[test]
        fn any_text_is_read_without_panic(before: String, line: String) {
            let _: Result<_, _> = GenerationParameters::parse(&format!("{before}\nSteps: {line}"));
            let _: Result<_, _> = GenerationParameters::parse(&before);
        }
    }
}
