"""What an environment consists of, drawn at random or given."""
import numpy as np

F = np.float32
TIMES = ["dawn", "noon", "sunset", "night"]
SKIES = ["clear", "cloudy", "starry", "aurora"]
RELIEFS = ["mountains", "hills", "flat", "city"]
GROUNDS = ["sea", "desert", "meadow", "snow", "canyon"]
OBJECTS = ["none", "trees", "rocks"]
NIGHT_SKIES = ("starry", "aurora")
SUN_HEIGHTS = dict(dawn=(4, 9), noon=(18, 55), sunset=(2, 7), night=(14, 34))      # degrees; the moon at night


def random_sky(rng, time):
    draw = rng.rand()
    if time != "night":
        return "clear" if draw < .45 else "cloudy"
    return "starry" if draw < .4 else "aurora" if draw < .7 else "clear" if draw < .85 else "cloudy"


def random_objects(rng, ground):
    draw = rng.rand()
    if ground in ("meadow", "snow") and draw < .45:
        return "trees"
    if ground in ("desert", "canyon", "sea") and draw < .3:
        return "rocks"
    return "none"


def sample_environment(rng, **fixed):
    """A dictionary of attributes. rng: numpy RandomState; fixed: attributes that are given."""
    env = dict(time=TIMES[rng.randint(4)])
    env["time"] = fixed.get("time", env["time"])
    sky = random_sky(rng, env["time"])
    env["sky"] = fixed.get("sky", sky)
    if env["sky"] in NIGHT_SKIES and "time" not in fixed:
        env["time"] = "night"
    env["relief"] = fixed.get("relief", RELIEFS[rng.randint(4)])
    env["ground"] = fixed.get("ground", GROUNDS[rng.randint(5)])
    env["obj"] = fixed.get("obj", random_objects(rng, env["ground"]))
    env["sun_az"] = float(fixed.get("sun_az", rng.uniform(0, 360)))
    heights = {time: rng.uniform(*SUN_HEIGHTS[time]) for time in TIMES}
    env["sun_el"] = float(fixed.get("sun_el", heights[env["time"]]))
    env["seed"] = int(rng.randint(1 << 30))
    return env


def sun_direction(azimuth, elevation):
    a, b = np.radians(azimuth), np.radians(elevation)
    return np.array([np.sin(a) * np.cos(b), -np.sin(b), np.cos(a) * np.cos(b)], F)
