"""Pairs of worlds that differ in one attribute, and instructions that say which.

The separate random streams of `render.Scene` keep everything else as it is: camera, clouds, relief, objects.
"""
from .captions import GROUND_WORDS, OBJECT_WORDS, RELIEF_WORDS, SKY_WORDS, STEEP, TIME_WORDS
from .environment import GROUNDS, NIGHT_SKIES, RELIEFS, SKIES, TIMES

EDITED_SUN = dict(dawn=6.0, noon=40.0, sunset=4.0, night=24.0)     # degrees
WORDS = dict(time=TIME_WORDS, sky=SKY_WORDS, relief=RELIEF_WORDS, ground=GROUND_WORDS)
SCENE = dict(time="scene", sky="sky", relief="horizon", ground="ground")
CHANGES = ["make it {w}", "turn the {o} into {w}", "change the {o} to {w}", "replace the {o} with {w}"]
TIME_CHANGES = ["make it {w}", "turn it into {w}", "set the time to {w}"]


def choose(rng, options):
    return options[rng.randint(len(options))]


def visible_attributes(pitch):
    """What can be seen to change by a camera with that pitch in degrees."""
    if pitch > STEEP:
        return ["time", "sky"]
    return ["time", "ground"] if pitch < -STEEP else ["time", "sky", "relief", "ground", "ground", "obj"]


def other_values(env, attribute):
    if attribute == "obj":
        full = "trees" if env["ground"] in ("meadow", "snow") else "rocks"
        return ["none" if env["obj"] != "none" else full]
    values = dict(time=TIMES, sky=SKIES if env["time"] == "night" else SKIES[:2], relief=RELIEFS, ground=GROUNDS)
    return [value for value in values[attribute] if value != env[attribute]]


def edited(env, attribute, value):
    """The same environment with another value; a night sky cannot stay when the night goes."""
    new = dict(env, **{attribute: value})
    if attribute == "time":
        new["sun_el"] = EDITED_SUN[value]
        if value != "night" and env["sky"] in NIGHT_SKIES:
            new["sky"] = "clear"
    return new


def instruction(before, after, attribute, rng):
    """What to say to get from one to the other."""
    if attribute == "obj":
        if after["obj"] != "none":
            return "add " + choose(rng, OBJECT_WORDS[after["obj"]])
        return "remove the " + choose(rng, OBJECT_WORDS[before["obj"]])
    words = WORDS[attribute]
    wanted = choose(rng, words[after[attribute]])
    present = choose(rng, words[before[attribute]]) if rng.rand() < .5 else SCENE[attribute]
    return choose(rng, TIME_CHANGES if attribute == "time" else CHANGES).format(w=wanted, o=present)
