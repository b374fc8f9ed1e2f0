"""From directions to colours: sky, far relief, ground, near objects, painted over each other."""
import numpy as np

from .camera import equirect_directions, view_directions
from .environment import sun_direction
from .ground import paint_ground
from .noise import F, wrapped_degrees
from .objects import paint_objects
from .palette import TIME_COLOURS
from .relief import paint_relief
from .sky import sky_colour


class Scene:
    """Everything about the pixels and the environment that the painters need. All arrays are flat."""

    def __init__(self, env, directions, half_pixel):
        self.env, self.directions, self.half_pixel = env, directions, half_pixel
        self.time, self.ground, self.colours = env["time"], env["ground"], TIME_COLOURS[env["time"]]
        self.offsets = np.random.RandomState(env["seed"]).uniform(0, 200, 16).astype(F)
        # separate random streams: changing one attribute leaves the rest of the world as it is
        streams = [np.random.RandomState((env["seed"] + 7919 * k) % (1 << 31)) for k in (1, 2, 3)]
        self.star_random, self.city_random, self.object_random = streams
        self.x, self.y, self.z = directions[:, 0], directions[:, 1], directions[:, 2]
        self.elevation = np.degrees(np.arcsin(np.clip(-self.y, -1, 1))).astype(F)
        level = np.sqrt(self.x * self.x + self.z * self.z) + F(1e-6)
        self.sin_azimuth, self.cos_azimuth = self.x / level, self.z / level
        self.azimuth = np.degrees(np.arctan2(self.x, self.z)).astype(F)
        self.sun = sun_direction(env["sun_az"], env["sun_el"])
        self.sun_angle = np.degrees(np.arccos(np.clip(directions @ self.sun, -1, 1))).astype(F)
        self.from_sun = wrapped_degrees(self.azimuth - F(env["sun_az"]))


def shade(env, directions, half_pixel=.45, disparity=False):
    """(..., 3) unit directions -> (..., 3) colours in 0..1. half_pixel: angle in degrees over which edges are smoothed.

    disparity=True: also (...,) inverse distance in units of 1 / camera height (sky 0, far relief 1/60 and 1/40).
    """
    shape = directions.shape[:-1]
    scene = Scene(env, directions.reshape(-1, 3).astype(F), half_pixel)
    colours = sky_colour(scene)
    nearness = np.zeros(len(scene.directions), F)
    colours = paint_relief(scene, colours, nearness)
    paint_ground(scene, colours)
    behind_ground = nearness if env["relief"] != "flat" else 0
    nearness = np.where(scene.elevation < 0, np.maximum(np.maximum(scene.y, 0), behind_ground), nearness)
    paint_objects(scene, colours, nearness)
    colours = np.clip(colours, 0, 1).astype(F).reshape(*shape, 3)
    return (colours, nearness.astype(F).reshape(shape)) if disparity else colours


def render(env, yaw, pitch, fov=72., size=128):
    return shade(env, view_directions(yaw, pitch, fov, size), half_pixel=.4 * fov / size)


def render_equirect(env, width=1024, height=512):
    return shade(env, equirect_directions(width, height), half_pixel=.4 * 180 / height)
