"""Colours of the times of day, grounds and reliefs."""
from .noise import colour

# zenith, horizon, glow around the sun, lit and dark clouds, ambient light, haze of far things
TIME_COLOURS = {
    "dawn": dict(zenith="7d8fd6", horizon="ffc9c4", glow="ffe3b0", cloud_lit="ffdcd8", cloud_dark="a894c0",
                 ambient="e0bccb", haze="e9c3cc"),
    "noon": dict(zenith="1f62d0", horizon="a9dcff", glow="ffffff", cloud_lit="ffffff", cloud_dark="b9c9dd",
                 ambient="ffffff", haze="b4dcf6"),
    "sunset": dict(zenith="3b2a78", horizon="ff8a3c", glow="ffd050", cloud_lit="ff9a5c", cloud_dark="7a3a6a",
                   ambient="d88a62", haze="d9683f"),
    "night": dict(zenith="050818", horizon="1c2c5c", glow="aebce8", cloud_lit="4a5680", cloud_dark="1a2244",
                  ambient="5a6698", haze="1e2b58"),
}
TIME_COLOURS = {time: {k: colour(v) for k, v in colours.items()} for time, colours in TIME_COLOURS.items()}
SUN_DISC = dict(dawn=colour("fff2c8"), noon=colour("fffff4"), sunset=colour("fff0a0"), night=colour("f4f4ff"))
COOL_HORIZON = dict(dawn=colour("c9a3c9"), sunset=colour("b04f5e"))       # away from the sun
# dark and light end of each ground
GROUND_COLOURS = dict(
    sea=(colour("0e5f9c"), colour("2fa6c4")), desert=(colour("c9823c"), colour("f4c878")),
    meadow=(colour("2f7d22"), colour("86c93c")), snow=(colour("b4cdea"), colour("ffffff")),
    canyon=(colour("8c2f1c"), colour("da6a3a")))
MOUNTAIN_COLOURS = dict(
    sea=colour("5d7690"), desert=colour("a8703f"), meadow=colour("3f6b45"), snow=colour("7d93b0"),
    canyon=colour("a03c24"))
HILL_COLOURS = dict(
    sea=colour("4d8050"), desert=colour("d09a58"), meadow=colour("4a8c35"), snow=colour("dce8f6"),
    canyon=colour("b5512f"))
ROCK_COLOURS = dict(desert=colour("96683e"), canyon=colour("7c3222"), sea=colour("5f6166"))
