"""What stands at the horizon: mountains, hills or a city. Two layers each, the far one first."""
import numpy as np

from .noise import F, TABLE, colour, fractal_noise, mix, smoothstep
from .palette import HILL_COLOURS, MOUNTAIN_COLOURS

DISTANCES = (60, 40)                                             # of the far and the near layer, for the disparity


def paint_relief(s, colours, nearness):
    painters = dict(mountains=mountain_layer, hills=hill_layer, city=city_layer)
    if s.env["relief"] not in painters:
        return colours
    for layer, distance in enumerate(DISTANCES):
        material, cover, solid = painters[s.env["relief"]](s, layer)
        colours = mix(colours, material, cover)
        nearness[solid] = 1 / distance
    return colours


def skyline(s, height):
    """(cover of everything below that height, where it is solid)"""
    return 1 - smoothstep(-s.half_pixel, s.half_pixel, s.elevation - height), s.elevation < height


def mountain_layer(s, layer):
    low, extent, scale, haze = ((4, 17, 2.6, .5), (1.5, 9, 4.2, .15))[layer]
    off, sin_az, cos_az = s.offsets, s.sin_azimuth, s.cos_azimuth
    noise = fractal_noise(sin_az * scale + off[12 + layer], cos_az * scale + off[13], 5, .52)
    ridge = 1 - np.abs(2 * noise - 1)
    height = low + extent * np.clip((ridge - .45) / .5, 0, 1.1) ** 1.4
    rock = MOUNTAIN_COLOURS[s.ground] * (.75 if layer else .95)
    texture = fractal_noise(sin_az * 14 + s.elevation * .1 + off[14], cos_az * 14 + s.elevation * .16, 3)
    material = rock * (.6 + .75 * texture)[:, None] * s.colours["ambient"]
    if layer == 0 and s.ground not in ("desert", "canyon"):
        snow = smoothstep(.5, .66, s.elevation / height + (texture - .5) * .9 - 6 / height * .5)
        material = mix(material, s.colours["ambient"] * colour("fbfdff"), snow)
    material = mix(material, s.colours["haze"], F(haze))
    return (material, *skyline(s, height))


def hill_layer(s, layer):
    low, extent, scale, haze = ((3.5, 8.5, 1.9, .38), (1, 6, 2.4, .1))[layer]
    off, sin_az, cos_az = s.offsets, s.sin_azimuth, s.cos_azimuth
    noise = fractal_noise(sin_az * scale + off[12 + layer], cos_az * scale + off[13], 2, .35)
    height = low + extent * np.clip((noise - .25) / .5, 0, 1)
    texture = fractal_noise(sin_az * 8 + s.elevation * .05, cos_az * 8 + s.elevation * .12 + off[14], 2)
    light = (.78 if layer else .92) * (.8 + .4 * texture) * (.75 + .25 * s.elevation / height)
    material = HILL_COLOURS[s.ground] * light[:, None] * s.colours["ambient"]
    material = mix(material, s.colours["haze"], F(haze))
    return (material, *skyline(s, height))


def city_layer(s, layer):
    count, random, edge = (60, 45)[layer], s.city_random, s.half_pixel
    width = 360 / count
    position = (s.azimuth + (0, 2.7)[layer]) % 360 / width
    index = np.floor(position).astype(np.int32) % count
    inside = (position - np.floor(position)) * width
    profile = .45 + .55 * (.5 + .5 * np.cos(np.arange(count) / count * 4 * np.pi + s.offsets[12]))
    heights = (random.uniform(.25, 1, count) ** 1.3 * (19, 12)[layer] * profile + 1.2).astype(F)
    margins = random.uniform(0, .9, count).astype(F)[index]
    shades = random.uniform(.75, 1.2, count).astype(F)[index]
    cover = smoothstep(-edge, edge, inside - margins) * smoothstep(-edge, edge, width - margins - inside)
    cover = cover * (1 - smoothstep(-edge, edge, s.elevation - heights[index]))
    walls = (colour("56657e"), colour("3c4456"))[layer] * (1.25 if s.time == "noon" else 1)
    material = walls * shades[:, None] * s.colours["ambient"]
    light = colour("ffd27a") if s.time in ("night", "sunset") else colour("cfe6ff") * s.colours["ambient"]
    material = mix(material, light, lit_windows(s) * F(.85 if s.time == "night" else .5))
    haze = (.35, .08)[layer] * (1 if s.time != "night" else .5)
    return mix(material, s.colours["haze"], F(haze)), cover, cover > .5


def lit_windows(s):
    """0..1: how much of a lit window each pixel shows."""
    column, row = s.azimuth / 1.5, s.elevation / 1.7
    column_index = np.floor(column + 400).astype(np.int32)
    row_index = np.floor(row + 40).astype(np.int32)
    draw = TABLE[(column_index * 7919 + row_index * 104729 + int(s.offsets[13] * 50)) & 65535]
    lit = (draw > (.5 if s.time == "night" else .62)).astype(F)
    across, along = np.abs(column - np.floor(column) - .5), np.abs(row - np.floor(row) - .5)
    return lit * (1 - smoothstep(.3, .5, across)) * (1 - smoothstep(.3, .5, along))
