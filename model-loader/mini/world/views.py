"""Training views: a random environment and a random camera per seed."""
import numpy as np

from .captions import LEVEL, SLIGHT, STEEP
from .environment import sample_environment
from .render import render


def sample_camera(rng):
    """(yaw, pitch, fov) in degrees; half of the views are exactly level."""
    draw = rng.rand()
    sign = 1.0 if rng.rand() < .5 else -1.0
    if draw < .50:
        pitch = 0.0
    elif draw < .55:
        pitch = sign * rng.uniform(0, 2)
    elif draw < .71:
        pitch = sign * rng.uniform(LEVEL, SLIGHT)
    elif draw < .85:
        pitch = sign * rng.uniform(SLIGHT, STEEP)
    else:
        pitch = sign * min(90.0, rng.uniform(STEEP, 105))
    fov = 72.0 if rng.rand() < .75 else rng.uniform(60, 90)
    return rng.uniform(0, 360), float(pitch), float(fov)


def training_view(seed, size=128):
    """(size x size x 3 uint8, environment, (yaw, pitch, fov))"""
    rng = np.random.RandomState(seed)
    env = sample_environment(rng)
    yaw, pitch, fov = sample_camera(rng)
    if rng.rand() < .25 and abs(pitch) < 30:
        yaw = (env["sun_az"] + rng.uniform(-30, 30)) % 360
    picture = render(env, yaw, pitch, fov, size)
    return (picture * 255 + .5).astype(np.uint8), env, (yaw, pitch, fov)
