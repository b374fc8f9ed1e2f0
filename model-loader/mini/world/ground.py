"""The ground plane below the horizon, seen from height 1."""
import numpy as np

from .noise import F, colour, fractal_noise, mix, smoothstep, value_noise
from .palette import GROUND_COLOURS

FLOWERS = (colour("ffe23a"), colour("ffffff"), colour("f06ab0"), colour("e8403a"))


class Plane:
    """The pixels that show ground: where their rays meet it and how far away."""

    def __init__(self, s, mask):
        directions = s.directions[mask]
        down = np.maximum(directions[:, 1], F(.004))
        self.x, self.z = directions[:, 0] / down, directions[:, 2] / down
        self.distance = np.sqrt(self.x * self.x + self.z * self.z)
        self.dark, self.light = GROUND_COLOURS[s.ground]
        self.depression = -s.elevation[mask]                     # degrees below the horizon
        self.fade = np.exp(-self.distance / 30)                  # of the texture towards the horizon
        self.from_sun = s.from_sun[mask]


def paint_ground(s, colours):
    edge = s.half_pixel
    mask = s.elevation < edge + .1
    if not mask.any():
        return
    plane = Plane(s, mask)
    painters = dict(sea=sea, desert=desert, meadow=meadow, snow=snow, canyon=canyon)
    material = painters[s.ground](s, plane)
    haze = s.colours["haze"]
    if s.ground == "snow":
        haze = mix(haze, s.colours["ambient"], .5)
    material = mix(material, haze, (.6 * np.exp(-plane.depression / 2.6)).astype(F))
    colours[mask] = mix(colours[mask], material.astype(F), 1 - smoothstep(-edge, edge, s.elevation[mask]))


def sea(s, p):
    off, night, noon = s.offsets, s.time == "night", s.time == "noon"
    dark = p.dark if noon else mix(p.dark, s.colours["zenith"], .35)
    light = p.light if noon else mix(p.light, s.colours["horizon"], .45)
    swell = fractal_noise(p.x * .9 + off[0], p.z * .9 + off[1], 3)
    ripple = value_noise(p.x * 2.6 + off[2], p.z * 2.6)
    level = .5 + (swell - .5) * 1.5 * p.fade + (ripple - .5) * .55 * np.exp(-p.distance / 9)
    water = mix(dark, light, np.clip(level, 0, 1)) * mix(s.colours["ambient"], np.ones(3, F), .1 if night else .6)
    water = mix(water, s.colours["horizon"] * F(.9), (.55 * np.exp(-p.depression / 7)).astype(F))
    path = np.exp(-(p.from_sun / (5 + .25 * p.depression)) ** 2) * np.exp(-p.depression / (40 if noon else 34))
    glitter = value_noise(p.x * 3.1 + off[3], p.z * 3.1 + off[4]) * .6 + swell * .4 + .12 * np.exp(-p.depression / 4)
    sparkle = np.clip(path * smoothstep(.42, .62, glitter) * F(.75 if noon else 1.0), 0, 1)
    return mix(water, colour("cdd8ff") if night else s.colours["glow"], sparkle)


def desert(s, p):
    off = s.offsets
    bend = fractal_noise(p.x * .35 + off[0], p.z * .35 + off[1], 2)
    phase = (p.x * np.cos(off[2]) + p.z * np.sin(off[2])) * .42 + bend * 2.6
    saw = phase - np.floor(phase)
    dune = np.where(saw < .72, saw / .72, (1 - saw) / .28)       # long windward, short lee side
    level = smoothstep(0, 1, dune) * .85 + .15 * value_noise(p.x * 4, p.z * 4)
    level = .55 + (level - .5) * 1.05 * np.exp(-p.distance / 14)
    return mix(p.dark, p.light, np.clip(level, 0, 1)) * s.colours["ambient"]


def meadow(s, p):
    off = s.offsets
    grass = fractal_noise(p.x * .8 + off[0], p.z * .8 + off[1], 4, .6)
    material = mix(p.dark, p.light, np.clip(.5 + (grass - .5) * 2.2 * p.fade, 0, 1))
    blossoms = smoothstep(.73, .82, value_noise(p.x * 3.3 + off[2], p.z * 3.3 + off[3]))
    blossoms = blossoms * np.exp(-p.distance / 7) * smoothstep(.35, .9, p.distance)
    return mix(material, FLOWERS[s.env["seed"] % 4], blossoms * F(.9)) * s.colours["ambient"]


def snow(s, p):
    off = s.offsets
    u, v = p.x * .45 + off[0], p.z * .45 + off[1]
    height = fractal_noise(u, v, 3)
    towards_sun = fractal_noise(u + s.sun[0] * .3, v + s.sun[2] * .3, 3)
    level = np.clip(.68 + (height - towards_sun) * 3.2 * p.fade + (height - .5) * .5 * p.fade, 0, 1)
    return mix(p.dark, p.light, level) * mix(s.colours["ambient"], np.ones(3, F), .12)


def canyon(s, p):
    off = s.offsets
    noise = fractal_noise(p.x * .5 + off[0], p.z * .5 + off[1], 4)
    strata = .5 + .5 * np.sin(noise * 26 + off[2])
    level = np.clip(.5 + ((strata - .5) * .9 + (noise - .5)) * p.fade, 0, 1)
    material = mix(p.dark, p.light, level)
    crack_noise = fractal_noise(p.x * .6 + off[3], p.z * .6 + off[4], 3)
    cracks = smoothstep(.03, .0, np.abs(crack_noise - .5)) * p.fade
    return mix(material, colour("4a160e"), cracks * F(.75)) * s.colours["ambient"]
