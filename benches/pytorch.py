"""UNet and VAE of SD-2.1 and SDXL in PyTorch f16: channels_last, SDPA; eager and as a CUDA graph. Random weights, the published configurations."""
import json, sys, time, os
import torch
torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
from diffusers import UNet2DConditionModel, AutoencoderKL

DIR = sys.argv[1]
OUT = sys.argv[2]
LIMIT = float(sys.argv[3]) if len(sys.argv) > 3 else 80
T0 = time.time()
rows = []

def say(*a):
    print(f"[{time.time()-T0:6.1f}]", *a, flush=True)

def measure(name, f, flops):
    with torch.inference_mode():
        f(); torch.cuda.synchronize()
        t = time.time(); n = 0
        while time.time() - t < 1.0:
            f(); torch.cuda.synchronize(); n += 1
        host, gpu = [], []
        for _ in range(10):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            h = time.perf_counter()
            a.record(); f(); b.record(); torch.cuda.synchronize()
            host.append((time.perf_counter() - h) * 1e3); gpu.append(a.elapsed_time(b))
        host.sort(); gpu.sort()
    row = {"name": name, "host_ms": host[5], "gpu_ms": gpu[5], "gpu_min": gpu[0], "tflops": flops / gpu[5] / 1e9}
    rows.append(row); say(json.dumps(row))
    json.dump({"torch": torch.__version__, "device": torch.cuda.get_device_name(), "rows": rows}, open(OUT, "w"), indent=1)

def graph(f):
    s = torch.cuda.Stream()
    with torch.inference_mode(), torch.cuda.stream(s):
        for _ in range(3): f()
    torch.cuda.current_stream().wait_stream(s)
    g = torch.cuda.CUDAGraph()
    with torch.inference_mode(), torch.cuda.graph(g): f()
    return g.replay

def both(name, f, flops):
    measure(name + " eager", f, flops)
    try:
        measure(name + " cuda graph", graph(f), flops)
    except Exception as e:
        say("graph failed", name, repr(e)[:200])

def model(cls, cfg):
    cfg = {k: v for k, v in cfg.items() if not k.startswith("_")}
    with torch.device("cuda"):
        m = cls.from_config(cfg)
    return m.half().eval().to(memory_format=torch.channels_last)

def unet(family, cfg, side, width, batches, flops1):
    m = model(UNet2DConditionModel, cfg)
    say(family, "unet ready")
    for b in batches:
        x = torch.randn(b, 4, side, side, device="cuda", dtype=torch.float16).to(memory_format=torch.channels_last)
        t = torch.full((b,), 601, device="cuda", dtype=torch.long)
        c = torch.randn(b, 77, width, device="cuda", dtype=torch.float16)
        added = None
        if cfg.get("addition_embed_type"):
            added = {"text_embeds": torch.randn(b, 1280, device="cuda", dtype=torch.float16), "time_ids": torch.tensor([[1024., 1024, 0, 0, 1024, 1024]] * b, device="cuda", dtype=torch.float16)}
        f = lambda: m(x, t, c, added_cond_kwargs=added, return_dict=False)[0]
        both(f"{family} UNet {side}x{side} batch {b}", f, flops1 * b)
    del m; torch.cuda.empty_cache()

def vae(family, cfg, side, batches, flops1):
    m = model(AutoencoderKL, cfg)
    for b in batches:
        z = torch.randn(b, 4, side, side, device="cuda", dtype=torch.float16).to(memory_format=torch.channels_last)
        f = lambda: m.decode(z, return_dict=False)[0]
        both(f"{family} VAE decoder {side}x{side} batch {b}", f, flops1 * b)
    del m; torch.cuda.empty_cache()

say(torch.__version__, torch.cuda.get_device_name())
sd = json.load(open(f"{DIR}/stable-diffusion-2-1-base.json")); xl = json.load(open(f"{DIR}/stable-diffusion-xl-base-1.0.json"))
a = torch.randn(8192, 8192, device="cuda", dtype=torch.float16); bb = torch.randn(8192, 8192, device="cuda", dtype=torch.float16)
measure("matmul 8192", lambda: a @ bb, 2 * 8192 ** 3)
del a, bb
unet("SD-2.1", sd["unet/config.json"], 64, 1024, (2, 10), 0.801e12)
vae("SD-2.1", sd["vae/config.json"], 64, (1,), 2.518e12)
if time.time() - T0 < LIMIT * 0.6: unet("SDXL", xl["unet/config.json"], 128, 2048, (2,), 6.76e12)
if time.time() - T0 < LIMIT * 0.8: vae("SDXL", xl["vae/config.json"], 128, (1,), 10.47e12)
say("done")
