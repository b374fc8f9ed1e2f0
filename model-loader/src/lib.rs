//! Bytes on disk to named, checked host arrays, configs and tokenizers. No GPU.
//!
//! Nothing read here is trusted: a file is recognised by its bytes, its header is checked before any of it is used, every
//! tensor is asked for by name and shape, and every tensor must be asked for. Errors say what was found, what was expected
//! and what to do next.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::string_slice, clippy::panic))]

mod additions;
mod blob;
mod checkpoint;
pub mod config;
mod embedding;
mod error;
mod expected;
mod family;
pub mod generate;
mod header;
pub mod hub;
mod inspect;
mod layout;
mod locate;
mod lora;
mod mini;
mod mmap;
mod names;
pub mod prompt;
mod replacement;
mod scope;
mod shards;
mod sniff;
mod source;
mod strict_json;
mod table;
mod tensor;
mod tokenizer;
mod weights;

pub use blob::Blob;
pub use checkpoint::Family;
pub use embedding::Embedding;
pub use error::{Detail, ErrorCode, LoadError, Result, escaped};
pub use header::{Entry, Header};
pub use inspect::{DtypeRow, NonFiniteRow, Report, TensorRow, inspect};
pub use lora::Lora;
pub use replacement::open_controlnet;
pub use scope::Scope;
pub use sniff::{FileKind, sniff};
pub use source::ModelSource;
pub use tensor::{Dtype, HostTensor};
pub use tokenizer::Tokenizer;
pub use weights::{TensorInfo, Weights};
