"""Scheduler goldens: timesteps, sigmas and the states of a few steps fed with given model outputs."""
import numpy as np
import torch

KEPT = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type", "steps_offset")
ALL_SPACINGS = ("ddim", "euler", "dpmpp2m")


def scheduler_makers(config):
    """name -> function(**options) that makes the scheduler with the model's noise schedule."""
    import diffusers as d
    base = {k: config[k] for k in KEPT if k in config}

    def maker(cls, spacing="leading", **fixed):
        default = {} if spacing is None else {"timestep_spacing": spacing}
        return lambda **options: cls(**base, **fixed, **{**default, **options})

    solver = dict(algorithm_type="dpmsolver++", solver_order=2)
    return {
        "ddim": maker(d.DDIMScheduler, None, clip_sample=False, set_alpha_to_one=False),
        "euler": maker(d.EulerDiscreteScheduler),
        "dpmpp2m": maker(d.DPMSolverMultistepScheduler, **solver),
        "dpmpp2m_karras": maker(d.DPMSolverMultistepScheduler, **solver, use_karras_sigmas=True),
        "euler_a": maker(d.EulerAncestralDiscreteScheduler),
        "pndm": maker(d.PNDMScheduler, None, skip_prk_steps=True, set_alpha_to_one=False),
        "unipc": maker(d.UniPCMultistepScheduler),
    }


def record_noise():
    """Make the ancestral scheduler draw from a fixed generator; the returned list collects its draws."""
    import diffusers.schedulers.scheduling_euler_ancestral_discrete as ancestral
    generator, drawn = np.random.Generator(np.random.PCG64(777)), []

    def randn(shape, generator_=None, device=None, dtype=None, layout=None, **_):
        noise = torch.from_numpy(generator.standard_normal(tuple(shape)).astype(np.float32))
        drawn.append(noise)
        return noise.to(dtype or torch.float32)

    ancestral.randn_tensor = randn
    return drawn


def timestep_tensors(make, spacing, tag, counts):
    out = {}
    scheduler = make(timestep_spacing=spacing)
    for count in counts:
        scheduler.set_timesteps(count)
        out[f"{tag}.timesteps{count}"] = torch.as_tensor(scheduler.timesteps).float().clone()
        if hasattr(scheduler, "sigmas"):
            out[f"{tag}.sigmas{count}"] = torch.as_tensor(scheduler.sigmas).float().clone()
        if hasattr(scheduler, "init_noise_sigma"):
            out[f"{tag}.init_noise_sigma{count}"] = torch.tensor([float(scheduler.init_noise_sigma)])
    return out


def stepped_states(make, spacing, steps, inputs):
    """(stacked states, recorded noise)"""
    scheduler = make(timestep_spacing=spacing)
    scheduler.set_timesteps(steps)
    drawn = record_noise()
    x = inputs["sched.x0"] * float(scheduler.init_noise_sigma)
    states = [x]
    for i, t in enumerate(scheduler.timesteps):
        x = scheduler.step(inputs["sched.model_out"][i], t, x, return_dict=False)[0]
        states.append(x)
    return torch.stack(states), drawn


def scheduler_goldens(config, inputs, steps):
    """Expected tensors; adds sched.euler_a.noise to the inputs."""
    expected = {}
    for prediction in ("epsilon", "v_prediction"):
        for name, make in scheduler_makers(dict(config, prediction_type=prediction)).items():
            several = prediction == "epsilon" and name in ALL_SPACINGS
            for spacing in ("leading", "trailing", "linspace") if several else ("leading",):
                tag = f"sched.{name}.{prediction[0]}.{spacing}"
                expected.update(timestep_tensors(make, spacing, tag, (steps, 20)))
                expected[f"{tag}.x"], drawn = stepped_states(make, spacing, steps, inputs)
                if drawn:
                    inputs.setdefault("sched.euler_a.noise", torch.stack(drawn))
    return expected
