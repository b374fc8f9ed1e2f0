"""Value noise and small shader-like helpers, numpy float32."""
import numpy as np

F = np.float32
TABLE = np.random.RandomState(1234).rand(256 * 256).astype(F)


def value_noise(x, y):
    """Smooth noise in 0..1 on a 256 x 256 lattice that repeats."""
    x_floor, y_floor = np.floor(x), np.floor(y)
    u, v = x - x_floor, y - y_floor
    column = x_floor.astype(np.int32) & 255
    row = (y_floor.astype(np.int32) & 255) << 8
    next_column, next_row = (column + 1) & 255, (row + 256) & 65535
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    top_left, top_right = TABLE[row + column], TABLE[row + next_column]
    bottom_left, bottom_right = TABLE[next_row + column], TABLE[next_row + next_column]
    top = top_left + (top_right - top_left) * u
    bottom = bottom_left + (bottom_right - bottom_left) * u
    return top + (bottom - top) * v


def fractal_noise(x, y, octaves=4, gain=.5):
    """Octaves of value noise, each turned and scaled by 2."""
    total, amplitude, sum_of_amplitudes = 0, 1., 0.
    for _ in range(octaves):
        total = total + F(amplitude) * value_noise(x, y)
        sum_of_amplitudes += amplitude
        amplitude *= gain
        x, y = x * F(1.62) + y * F(1.2) + F(17.3), y * F(1.62) - x * F(1.2) + F(5.7)
    return total / F(sum_of_amplitudes)


def smoothstep(low, high, x):
    t = np.clip((x - F(low)) / F(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def colour(text):
    """"rrggbb" -> float32 RGB in 0..1."""
    return np.array([int(text[i:i + 2], 16) / 255 for i in (0, 2, 4)], F)


def mix(a, b, t):
    return a + (b - a) * (t[..., None] if isinstance(t, np.ndarray) else F(t))


def wrapped_degrees(difference):
    """An azimuth difference brought into -180..180."""
    return (difference + 540) % 360 - 180
