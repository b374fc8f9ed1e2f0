"""A procedural world: an environment is a function from direction to colour.

World axes: x right, y down, z forward. Azimuth = atan2(x, z), positive to the right; elevation = asin(-y), positive up.
"""
from .camera import camera_rotation, equirect_directions, view_directions
from .environment import GROUNDS, OBJECTS, RELIEFS, SKIES, TIMES, sample_environment, sun_direction
from .render import render, render_equirect, shade

__all__ = [
    "GROUNDS", "OBJECTS", "RELIEFS", "SKIES", "TIMES", "camera_rotation", "equirect_directions", "render",
    "render_equirect", "sample_environment", "shade", "sun_direction", "view_directions",
]
