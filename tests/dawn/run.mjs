// Compiles every shader and runs the cases of a folder written by tests/tests/dawn.rs in Dawn, Chrome's WebGPU.
// usage: node run.mjs FOLDER     reads FOLDER/manifest.json, writes FOLDER/report.json and CASE.BINDING.out
//
// manifest: { shaders: [{ name, file, overrides, access, features }],
//             cases: [{ name, shader, grid, params, bindings: [file] }] }, files relative to FOLDER; `shader` is an index.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);
const folder = process.argv[2];
const load = (file) => readFileSync(join(folder, file));
const { shaders, cases } = JSON.parse(load('manifest.json'));

// No limit above the defaults and no feature that no shader asks for: what any WebGPU device must be able to do.
const gpu = create(process.platform === 'linux' ? ['backend=vulkan'] : []);
const adapter = await gpu.requestAdapter();
if (!adapter) throw new Error('Dawn finds no adapter');
const features = ['shader-f16', 'subgroups'].filter((feature) => adapter.features.has(feature));
const device = await adapter.requestDevice({ requiredFeatures: features });
const report = {
  adapter: adapter.info.description, features, compiled: 0, skipped: [], failures: [], ran: [], seconds: [],
};

// Everything `work` does under an error scope; the first error is thrown.
async function guarded(work) {
  device.pushErrorScope('validation');
  try {
    return await work();
  } finally {
    const error = await device.popErrorScope();
    if (error) throw new Error(error.message);
  }
}

function layoutOf(shader) {
  const storage = device.createBindGroupLayout({
    entries: shader.access.map((access, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === 'Read' ? 'read-only-storage' : 'storage' },
    })),
  });
  const params = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true } }],
  });
  return { storage, params, pipeline: device.createPipelineLayout({ bindGroupLayouts: [storage, params] }) };
}

async function compile(shader) {
  const layout = layoutOf(shader);
  const module = device.createShaderModule({ label: shader.name, code: load(shader.file).toString() });
  const { messages } = await module.getCompilationInfo();
  const errors = messages.filter((m) => m.type === 'error').map((m) => `${m.lineNum}:${m.linePos} ${m.message}`);
  if (errors.length > 0) throw new Error(errors.join('; '));
  const pipeline = await device.createComputePipelineAsync({
    label: shader.name,
    layout: layout.pipeline,
    compute: { module, entryPoint: 'main', constants: shader.overrides },
  });
  return { layout, pipeline };
}

function upload(bytes, usage) {
  const buffer = device.createBuffer({ size: bytes.byteLength, usage });
  device.queue.writeBuffer(buffer, 0, bytes);
  return buffer;
}

async function download(buffer) {
  const staging = device.createBuffer({ size: buffer.size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, buffer.size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  return new Uint8Array(staging.getMappedRange().slice(0));
}

async function run(one, { layout, pipeline }, access) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffers = one.bindings.map((file) => upload(load(file), usage));
  const uniform = upload(load(one.params), GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  const group = (layout, list) =>
    device.createBindGroup({ layout, entries: list.map((buffer, binding) => ({ binding, resource: { buffer } })) });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group(layout.storage, buffers));
  pass.setBindGroup(1, group(layout.params, [uniform]), [0]);
  pass.dispatchWorkgroups(...one.grid);
  pass.end();
  device.queue.submit([encoder.finish()]);
  for (const [binding, buffer] of buffers.entries()) {
    if (access[binding] !== 'Read') writeFileSync(join(folder, `${one.name}.${binding}.out`), await download(buffer));
  }
}

const compiled = shaders.map(() => null);
async function compileAt(index) {
  const shader = shaders[index];
  if (!shader.features.every((feature) => features.includes(feature))) {
    report.skipped.push(shader.name);
    return;
  }
  const began = performance.now();
  try {
    compiled[index] = await compile(shader);
    report.compiled += 1;
  } catch (error) {
    report.failures.push(`${shader.name}: ${error.message}`);
  }
  report.seconds.push([shader.name, (performance.now() - began) / 1000]);
}
// Dawn compiles on threads of its own: a few at a time, each worker taking the next shader.
let next = 0;
async function worker() {
  while (next < shaders.length) await compileAt(next++);
}
await Promise.all(Array.from({ length: 4 }, worker));
for (const one of cases) {
  const ready = compiled[one.shader];
  if (!ready) continue;
  try {
    await guarded(() => run(one, ready, shaders[one.shader].access));
    report.ran.push(one.name);
  } catch (error) {
    report.failures.push(`${one.name}: ${error.message}`);
  }
}
writeFileSync(join(folder, 'report.json'), JSON.stringify(report));
// Dawn's threads keep node alive.
process.exit(0);
