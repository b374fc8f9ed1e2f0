"""Directions of the pixels of perspective and equirectangular pictures."""
import numpy as np

F = np.float32


def camera_rotation(yaw, pitch):
    """Camera to world; yaw to the right and pitch up, in degrees."""
    a, p = np.radians(yaw), np.radians(pitch)
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return (about_y @ about_x).astype(F)


def view_directions(yaw, pitch, fov, size):
    """Unit directions of a square pinhole picture; fov in degrees."""
    focal = 1 / np.tan(np.radians(fov) / 2)
    centres = (np.arange(size, dtype=F) + .5) / size * 2 - 1
    x, y = np.meshgrid(centres, centres)
    directions = np.stack([x, y, np.full_like(x, focal)], -1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return (directions @ camera_rotation(yaw, pitch).T).astype(F)


def equirect_directions(width, height):
    """Unit directions of a whole panorama; its middle column looks forward (azimuth 0)."""
    azimuths = ((np.arange(width) + .5) / width - .5) * 2 * np.pi
    elevations = (.5 - (np.arange(height) + .5) / height) * np.pi
    a, e = np.meshgrid(azimuths, elevations)
    return np.stack([np.sin(a) * np.cos(e), -np.sin(e), np.cos(a) * np.cos(e)], -1).astype(F)
