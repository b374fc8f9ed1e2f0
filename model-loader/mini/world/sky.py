"""Sky: gradient, glow, stars, milky way, aurora, sun or moon, clouds."""
import numpy as np

from .noise import F, colour, fractal_noise, mix, smoothstep
from .palette import COOL_HORIZON, SUN_DISC

GLOW_WIDTH = dict(dawn=16, noon=12, sunset=20, night=9)
SUN_RADIUS = 3.3


def sky_colour(s):
    """Colours of all pixels as if nothing but sky were there."""
    kind, colours = s.env["sky"], gradient(s)
    if kind == "starry" or (kind == "clear" and s.time == "night"):
        colours = add_stars(s, colours, 300 if kind == "starry" else 45)
    if kind == "aurora":
        colours = add_aurora(s, colours)
    colours = add_disc(s, colours)
    return add_clouds(s, colours) if kind == "cloudy" else colours


def gradient(s):
    height = np.clip(s.elevation, 0, 90)
    amount = 1 - np.exp(-height / F(26 if s.time != "noon" else 20))
    horizon = np.broadcast_to(s.colours["horizon"], s.directions.shape)
    if s.time in COOL_HORIZON:
        warmth = .5 + .5 * np.cos(np.radians(s.from_sun))
        horizon = mix(COOL_HORIZON[s.time], s.colours["horizon"], .25 + .75 * warmth)
    sky = mix(horizon, s.colours["zenith"], amount)
    strength = F(.75 if s.time != "night" else .35)
    return mix(sky, s.colours["glow"], strength * np.exp(-(s.sun_angle / GLOW_WIDTH[s.time]) ** 2))


def add_stars(s, sky, count):
    stars = s.star_random.normal(size=(count, 3)).astype(F)
    stars[:, 1] = -np.abs(stars[:, 1])
    stars /= np.linalg.norm(stars, axis=1, keepdims=True)
    brightness = s.star_random.uniform(.45, 1.1, count).astype(F)
    above = s.elevation > 0
    if not above.any():
        return sky
    cosines = s.directions[above] @ stars.T
    nearest = cosines.argmax(1)
    cosine = cosines[np.arange(len(nearest)), nearest]
    square_angle = np.clip(2 - 2 * cosine, 0, 4) * F((180 / np.pi) ** 2)
    light = np.exp(-square_angle / F(2 * .5 ** 2)) * brightness[nearest]
    sky[above] += light[:, None] * np.array([1, 1, .92], F)
    return add_milky_way(s, sky) if s.env["sky"] == "starry" else sky


def add_milky_way(s, sky):
    axis = s.star_random.normal(size=3).astype(F)
    axis[1] *= .4
    axis /= np.linalg.norm(axis)
    distance = s.directions @ axis
    cloud = fractal_noise(s.x * 5 + s.offsets[0] + distance * 3, s.z * 5 + s.y * 4 + s.offsets[1], 3)
    band = np.exp(-(distance / .2) ** 2) * (.35 + .9 * cloud)
    return sky + (band * F(.34))[:, None] * colour("a9a0ff")


def add_aurora(s, sky):
    off, sin_az, cos_az = s.offsets, s.sin_azimuth, s.cos_azimuth
    for j in range(2):
        scale = F(1.6 + j)
        curtain = 14 + 16 * j + 16 * fractal_noise(sin_az * scale + off[2 + j], cos_az * scale + off[4], 2) - 4
        ray = .35 + .9 * fractal_noise(sin_az * 9 + off[5 + j], cos_az * 9 + off[7], 2)
        above = s.elevation - curtain
        fall = np.exp(-np.clip(above, 0, 90) / (10 + 9 * ray))
        light = np.where(above < 0, np.exp(-(above / 2.2) ** 2), fall) * ray * (1 - smoothstep(52, 80, s.elevation))
        patches = fractal_noise(sin_az * 1.3 + off[8 + j], cos_az * 1.3 + off[9], 2)
        light = light * (.35 + .9 * smoothstep(.3, .6, patches))
        tint = mix(colour("30ff9a"), colour("a040ff"), smoothstep(2, 22, above))
        sky = sky + (np.clip(light, 0, 1.1) * F(.85))[:, None] * tint
    return sky


def add_disc(s, sky):
    disc = 1 - smoothstep(SUN_RADIUS - s.half_pixel, SUN_RADIUS + s.half_pixel, s.sun_angle)
    if s.time == "night":
        spots = fractal_noise(s.x * 22 + s.offsets[3], s.y * 22 + s.z * 22, 2)
        disc = disc * (.78 + .22 * smoothstep(.35, .6, spots))
    return mix(sky, SUN_DISC[s.time], disc)


def add_clouds(s, sky):
    """A noise layer on a plane above; lit where it gets thinner towards the sun."""
    plane = F(1.5) / (np.clip(-s.y, 0, 1) + F(.16))
    u, v = s.x * plane * 1.15 + s.offsets[10], s.z * plane * 1.15 + s.offsets[11]
    density = fractal_noise(u, v, 4)
    towards_sun = fractal_noise(u + s.sun[0] * .22, v + s.sun[2] * .22, 3)
    cover = smoothstep(.47, .64, density) * smoothstep(-1, 7, s.elevation)
    lit = np.clip(.62 + 2.2 * (density - towards_sun), 0, 1) * (1 - .35 * smoothstep(.6, .8, density))
    clouds = mix(s.colours["cloud_dark"], s.colours["cloud_lit"], lit)
    if s.time in COOL_HORIZON:
        clouds = mix(clouds, s.colours["glow"], .55 * np.exp(-(s.sun_angle / 30) ** 2))
    return mix(sky, clouds, cover * F(.93))
