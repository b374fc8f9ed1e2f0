//! Bytes on disk to named, checked host arrays, configs and tokenizers. No GPU.
