"""Trees or rocks near by: upright cut-outs on the ground."""
import numpy as np

from .noise import F, colour, fractal_noise, mix, smoothstep, wrapped_degrees
from .palette import ROCK_COLOURS


def paint_objects(s, colours, nearness):
    if s.env["obj"] == "none":
        return
    random = s.object_random
    count = random.randint(6, 11)
    depressions = np.sort(random.uniform(2.5, 13, count))        # of the foot below the horizon: far ones first
    azimuths = random.uniform(0, 360, count)
    for i in range(count):
        paint_one(s, colours, nearness, i, depressions[i], azimuths[i])


def paint_one(s, colours, nearness, index, depression, azimuth):
    variation = s.object_random.uniform(.75, 1.25, 4)
    tree = s.env["obj"] == "trees"
    height = (9 + 1.35 * depression) * variation[0] if tree else (2.6 + .55 * depression) * variation[0]
    width = height * .24 * variation[1] if tree else height * 1.05 * variation[1]
    across = wrapped_degrees(s.azimuth - F(azimuth))
    foot = -depression
    mask = (np.abs(across) < width * 1.3) & (s.elevation > foot - 3) & (s.elevation < foot + height + 2)
    if not mask.any():
        return
    u, v = across[mask] / F(width), (s.elevation[mask] - F(foot)) / F(height)
    sun_side = wrapped_degrees(s.env["sun_az"] - azimuth)
    if tree:
        material, cover = tree_look(s, u, v, height, width, sun_side)
    else:
        material, cover = rock_look(s, u, v, height, index, variation, sun_side)
    colours[mask] = mix(colours[mask], material.astype(F), cover.astype(F))
    nearness[mask] = np.where(cover > .5, F(np.sin(np.radians(depression))), nearness[mask])


def tree_look(s, u, v, height, width, sun_side):
    edge = s.half_pixel
    saw = (v * 4.2) % 1                                          # tiers of branches
    outline = np.clip(1.02 - v, 0, 1) * (1.02 - .42 * saw) * (v > .12) + .09 * (v <= .14)
    cover = smoothstep(-edge, edge, (outline - np.abs(u)) * F(width))
    cover = cover * smoothstep(-edge, edge, (v + .02) * F(height)) * (v < 1.02)
    light = np.clip(.45 - .5 * u * np.sign(sun_side) * -1 + .25 * (1 - saw), 0, 1).astype(F)
    needles = mix(colour("1c4a26"), colour("3c7a3a"), light)
    if s.ground == "snow":
        needles = mix(needles, colour("f4f8ff"), smoothstep(.45, .95, 1 - saw) * .75)
    bark = np.where((v <= .12)[:, None], colour("4a3020"), needles)
    return bark * s.colours["ambient"] * (.8 if s.time != "night" else .75), cover


def rock_look(s, u, v, height, index, variation, sun_side):
    edge = s.half_pixel
    bumps = fractal_noise(u * 1.7 + F(variation[3] * 40), v * .4 + F(index), 3) - .5
    outline = 1 - (.92 * u) ** 2 * (.7 + .3 * variation[2]) + .28 * bumps
    cover = smoothstep(-edge, edge, (outline - v) * F(height))
    cover = cover * smoothstep(-edge, edge, (v + .06 + .1 * (1 - u * u)) * F(height))
    stone = ROCK_COLOURS.get(s.ground, colour("74767c"))
    texture = fractal_noise(u * 2.2 + F(variation[3] * 9), v * 2.2, 3)
    light = .55 + .5 * v + .3 * u * (1 if sun_side > 0 else -1) + .8 * (texture - .5)
    return stone * np.clip(light, .25, 1.5)[:, None] * s.colours["ambient"], cover
