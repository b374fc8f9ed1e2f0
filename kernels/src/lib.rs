//! How to compute: WGSL kernels, the recorder and the GPU context. The only crate that names wgpu.
