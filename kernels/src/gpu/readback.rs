//! Host values in, host values out. Pad lanes are added and dropped here and nowhere else.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::context::Context;
use super::error::{GpuError, Result};
use crate::tensor::{Elem, Storage, Tensor};

/// Uploads wait for the next submit until they are this many bytes together.
const FLUSH_BYTES: u64 = 64 << 20;

/// Longest wait for the callback of a map whose copy is done.
const CALLBACK_LIMIT: Duration = Duration::from_secs(10);

/// Rows of `width` values, each extended with zeros to `padded` and converted to little-endian bytes.
fn pad_rows<T: Copy, const N: usize>(
    values: &[T],
    width: usize,
    padded: usize,
    bytes: impl Fn(T) -> [u8; N],
) -> Vec<u8> {
    let rows = values.len() / width;
    let mut out = vec![0u8; rows * padded * N];
    for (row, target) in values.chunks_exact(width).zip(out.chunks_exact_mut(padded * N)) {
        for (&value, slot) in row.iter().zip(target.chunks_exact_mut(N)) {
            slot.copy_from_slice(&bytes(value));
        }
    }
    out
}

impl Context {
    /// A resident tensor from host values, converted to `elem` (f32 or f16, round to nearest even).
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn upload(&self, values: &[f32], dims: &[usize], elem: Elem) -> Result<Tensor> {
        self.upload_named("upload", values, dims, elem)
    }

    /// As [`Context::upload`], with a label for messages and debuggers.
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn upload_named(&self, label: &str, values: &[f32], dims: &[usize], elem: Elem) -> Result<Tensor> {
        let tensor = self.named_tensor(label, dims, elem)?;
        self.write(&tensor, values)?;
        Ok(tensor)
    }

    /// A resident tensor of integers (token ids, seeds).
    ///
    /// # Errors
    /// When the budget or a limit of the adapter is exceeded.
    pub fn upload_u32(&self, values: &[u32], dims: &[usize]) -> Result<Tensor> {
        let tensor = self.named_tensor("u32 upload", dims, Elem::U32)?;
        self.write_u32(&tensor, values)?;
        Ok(tensor)
    }

    /// Overwrites a resident float tensor.
    ///
    /// # Errors
    /// When the device is lost.
    ///
    /// # Panics
    /// When the number of values is not the tensor's, or the tensor is not a resident float tensor.
    pub fn write(&self, tensor: &Tensor, values: &[f32]) -> Result<()> {
        assert_eq!(values.len(), tensor.shape.len(), "write: {:?} values", tensor.shape);
        let (width, padded) = (tensor.shape.last(), tensor.shape.padded_last());
        let bytes = match tensor.elem {
            Elem::F32 => pad_rows(values, width, padded, f32::to_le_bytes),
            Elem::F16 => {
                // In bulk: the processor's own instructions convert slices, not single values.
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                pad_rows(&halves, width, padded, f16::to_le_bytes)
            }
            Elem::U32 => panic!("write: {:?} holds integers", tensor.shape),
        };
        self.write_bytes(tensor, &bytes)
    }

    /// Overwrites a resident integer tensor.
    ///
    /// # Errors
    /// When the device is lost.
    ///
    /// # Panics
    /// When the number of values or the element type is not the tensor's.
    pub fn write_u32(&self, tensor: &Tensor, values: &[u32]) -> Result<()> {
        assert!(values.len() == tensor.shape.len() && tensor.elem == Elem::U32, "write_u32: {:?}", tensor.shape);
        let bytes = pad_rows(values, tensor.shape.last(), tensor.shape.padded_last(), u32::to_le_bytes);
        self.write_bytes(tensor, &bytes)
    }

    fn write_bytes(&self, tensor: &Tensor, bytes: &[u8]) -> Result<()> {
        let Storage::Resident { buffer, start } = &tensor.storage else {
            panic!("write: {:?} lives inside a recording", tensor.shape)
        };
        // Rows are padded to four elements, so the length is a multiple of the four bytes wgpu asks for.
        self.scoped(&buffer.label, |_| self.inner.queue.write_buffer(&buffer.raw, buffer.offset + start, bytes))?;
        self.flush_uploads(bytes.len() as u64)
    }

    /// wgpu keeps a copy of everything written until the next submit: without one now and then, loading a model would
    /// take its size twice.
    fn flush_uploads(&self, written: u64) -> Result<()> {
        let unflushed = &self.inner.unflushed;
        if unflushed.fetch_add(written, Ordering::Relaxed) + written < FLUSH_BYTES {
            return Ok(());
        }
        unflushed.store(0, Ordering::Relaxed);
        self.scoped("upload", |device| {
            self.inner.queue.submit([]);
            // Only frees what is done already; an error would be a lost device, which the scope reports.
            let _ = device.poll(wgpu::PollType::Poll);
        })
    }

    /// The values of a resident float tensor. Blocks until the GPU is done.
    ///
    /// # Errors
    /// When the device is lost or the map fails.
    ///
    /// # Panics
    /// When the tensor is not a resident float tensor.
    pub fn read(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let words = self.read_tensor_words(tensor)?;
        let all: Vec<f32> = match tensor.elem {
            Elem::F32 => words.into_iter().map(f32::from_bits).collect(),
            Elem::F16 => words
                .into_iter()
                .flat_map(|w| [f16::from_bits(w as u16).to_f32(), f16::from_bits((w >> 16) as u16).to_f32()])
                .collect(),
            Elem::U32 => panic!("read: {:?} holds integers", tensor.shape),
        };
        Ok(drop_padding(&all, tensor))
    }

    /// The values of a resident integer tensor.
    ///
    /// # Errors
    /// When the device is lost or the map fails.
    ///
    /// # Panics
    /// When the tensor is not a resident integer tensor.
    pub fn read_u32(&self, tensor: &Tensor) -> Result<Vec<u32>> {
        assert_eq!(tensor.elem, Elem::U32, "read_u32: {:?}", tensor.shape);
        Ok(drop_padding(&self.read_tensor_words(tensor)?, tensor))
    }

    /// The raw words of a resident tensor, pad lanes included (for bit-exact comparisons).
    ///
    /// # Errors
    /// When the device is lost or the map fails.
    ///
    /// # Panics
    /// When the tensor lives inside a recording.
    pub fn read_tensor_words(&self, tensor: &Tensor) -> Result<Vec<u32>> {
        let Storage::Resident { buffer, start } = &tensor.storage else {
            panic!("read: {:?} lives inside a recording; keep() it first", tensor.shape)
        };
        self.read_words(&buffer.raw, buffer.offset + start, tensor.bytes().next_multiple_of(4))
    }

    pub(super) fn read_words(&self, source: &wgpu::Buffer, offset: u64, bytes: u64) -> Result<Vec<u32>> {
        let during = "readback";
        let [count, total] = &self.inner.readbacks;
        count.fetch_add(1, Ordering::Relaxed);
        total.fetch_add(bytes, Ordering::Relaxed);
        let staging = self.scoped(during, |device| {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(during),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                mapped_at_creation: false,
            });
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(source, offset, &staging, 0, bytes);
            self.inner.queue.submit([encoder.finish()]);
            staging
        })?;
        let (sender, receiver) = mpsc::channel();
        self.scoped(during, |_| {
            staging.slice(..).map_async(wgpu::MapMode::Read, move |result| {
                // The receiver only goes away when this function has already failed.
                let _ = sender.send(result);
            });
        })?;
        self.wait(during)?;
        let failed = |reason: String| GpuError::DeviceLost { reason, during: during.to_owned() };
        // Another thread's poll may have taken our callback and be about to run it: the wait above says that the copy is
        // done, not that the callback has returned.
        let deadline = Instant::now() + CALLBACK_LIMIT;
        let mapped = loop {
            match receiver.recv_timeout(Duration::from_millis(20)) {
                Ok(mapped) => break mapped,
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => self.wait(during)?,
                Err(e) => return Err(failed(e.to_string())),
            }
        };
        mapped.map_err(|e| failed(e.to_string()))?;
        let view = staging.slice(..).get_mapped_range().map_err(|e| failed(e.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view[..]))
    }
}

fn drop_padding<T: Copy>(all: &[T], tensor: &Tensor) -> Vec<T> {
    let (width, padded) = (tensor.shape.last(), tensor.shape.padded_last());
    all.chunks_exact(padded).flat_map(|row| row[..width].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::ContextOptions;

    /// Any thread's poll may run any thread's callbacks.
    #[test]
    fn threads_may_read_one_device_at_a_time() {
        let ctx = Context::new(&ContextOptions::default()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ctx = &ctx;
                scope.spawn(move || {
                    let values = [thread as f32; 64];
                    let tensor = ctx.upload(&values, &[64], Elem::F32).unwrap();
                    for round in 0..200 {
                        assert_eq!(ctx.read(&tensor).unwrap(), values, "thread {thread}, round {round}");
                    }
                });
            }
        });
    }
}
