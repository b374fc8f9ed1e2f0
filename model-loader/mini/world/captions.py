"""Random captions of a view. Horizon height is told by the prompt:

    |pitch| <= 3    nothing is said                        level view, horizon in the middle
    3..15 up        ", low horizon"                        (down: ", high horizon")
    15..40 up       ", looking up" or "looking up, ..."    (down: looking down)
    above 40 up     "looking up at the sky, ..."           (down: "looking down at the ground, ...")
"""
import numpy as np

from .camera import camera_rotation
from .environment import sun_direction

LEVEL, SLIGHT, STEEP = 3.0, 15.0, 40.0                           # degrees: borders of the pitch classes

TIME_WORDS = dict(
    dawn=["dawn", "sunrise", "early morning"], noon=["noon", "midday", "daytime"], sunset=["sunset", "dusk", "evening"],
    night=["night", "midnight"])
SKY_WORDS = dict(
    clear=["clear sky", "cloudless sky"], cloudy=["cloudy sky", "sky with clouds"],
    starry=["starry sky", "sky full of stars"], aurora=["aurora", "northern lights"])
RELIEF_WORDS = dict(
    mountains=["mountains", "distant mountains", "a mountain range", "peaks"],
    hills=["hills", "rolling hills", "low hills"], flat=["a flat horizon", "an open horizon"],
    city=["a city skyline", "skyscrapers", "a city", "buildings"])
GROUND_WORDS = dict(
    sea=["sea", "ocean"], desert=["desert", "desert dunes", "sand dunes"],
    meadow=["meadow", "green meadow", "grass field"], snow=["snow", "snowy field", "snow plain"],
    canyon=["red canyon", "red rock canyon", "canyon"])
OBJECT_WORDS = dict(trees=["trees", "pine trees"], rocks=["rocks", "boulders"])
PREFIXES = ["", "", "", "", "a photo of ", "a picture of ", "a view of ", "a panorama of ", "a landscape of ",
            "a beautiful "]
SUFFIXES = ["", "", "", "", "", "", ", highly detailed", ", wide angle view", ", beautiful landscape"]
UP = ["looking up at the {s} at {t}", "looking up at the sky, {s}, {t}", "the {s} at {t}, looking up at the sky",
      "{t}, {s}, looking up"]
DOWN = ["looking down at the {g} at {t}", "looking down at the ground, {g}, {t}",
        "the {g} at {t}, looking down at the ground", "{g}, {t}, looking down"]
SHORT = ["{g} at {t}", "{t}, {g}", "{t} over the {g}"]
PLAIN = ["a {t} over {g}", "{g} at {t}", "{t} {g}", "{g}, {t}"]
WITH_SKY = ["{t} {g} under a {s}", "{g} under a {s} at {t}", "{g} at {t}, {s}", "{s} over the {g} at {t}"]
LISTED = ["{t}, {s}, {g}", "{g}, {t}, {s}", "{g} and {s} at {t}"]


class Writer:
    def __init__(self, env, rng):
        self.env, self.rng = env, rng
        self.time, self.sky = self.choose(TIME_WORDS[env["time"]]), self.choose(SKY_WORDS[env["sky"]])
        self.relief, self.ground = self.choose(RELIEF_WORDS[env["relief"]]), self.choose(GROUND_WORDS[env["ground"]])

    def choose(self, options):
        return options[self.rng.randint(len(options))]

    def fill(self, pattern):
        return pattern.format(s=self.sky, t=self.time, g=self.ground)

    def steep(self, up):
        if not up:
            return self.fill(self.choose(DOWN))
        text = self.fill(self.choose(UP))
        if self.rng.rand() < .4:
            text += self.choose([" above the {g}", " over the {g}"]).format(g=self.ground)
        return text

    def level(self, sun_visible):
        draw, with_relief = self.rng.rand(), ""
        if self.env["relief"] != "flat" or self.rng.rand() < .3:
            joint = self.choose([" with {r}", " and {r}", ", {r}", " in front of {r}"])
            with_relief = joint.format(r=self.relief)
        if draw < .18:
            text = self.choose(SHORT)
            if self.rng.rand() < .5:
                text += with_relief
        else:
            text = self.choose(PLAIN if draw < .45 else WITH_SKY if draw < .75 else LISTED) + with_relief
        return self.fill(text) + self.extras(sun_visible)

    def extras(self, sun_visible):
        text = ""
        if self.env["obj"] != "none" and self.rng.rand() < .8:
            joint = self.choose([", {o}", " with {o}", " and {o}"])
            text += joint.format(o=self.choose(OBJECT_WORDS[self.env["obj"]]))
        if sun_visible and self.rng.rand() < .5:
            light = "moon" if self.env["time"] == "night" else "sun"
            text += self.choose([", the {l}", " with the {l}", ", {l} in the sky"]).format(l=light)
        return text

    def finish(self, text):
        text = self.choose(PREFIXES) + text + self.choose(SUFFIXES)
        return text.capitalize() if self.rng.rand() < .1 else text

    def with_pitch(self, text, pitch):
        if abs(pitch) <= LEVEL:
            return text
        up = pitch > 0
        if abs(pitch) <= SLIGHT:
            height = "low" if up else "high"
            return text + self.choose([f", {height} horizon", f", a {height} horizon"])
        where = "looking up" if up else "looking down"
        return f"{text}, {where}" if self.rng.rand() < .6 else f"{where}, {text}"


def caption(env, rng, pitch=0., sun_visible=False):
    """A random caption of a view with that pitch in degrees."""
    writer = Writer(env, rng)
    if abs(pitch) > STEEP:
        return writer.finish(writer.steep(pitch > 0))
    return writer.with_pitch(writer.finish(writer.level(sun_visible)), pitch)


def sun_is_visible(env, yaw, pitch, fov):
    """Whether the sun or moon is inside the picture."""
    c = sun_direction(env["sun_az"], env["sun_el"]) @ camera_rotation(yaw, pitch)
    focal = 1 / np.tan(np.radians(fov / 2))
    return bool(c[2] > 0 and abs(c[0] / c[2] * focal) < .95 and abs(c[1] / c[2] * focal) < .95)
