"""Closed outlines of cells and nuclei, and their folding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]


def polygonal(rng: np.random.Generator, radius_um: float, corners: int, roundness: int, waviness: float) -> Points:
    """Outline of a squamous cell: a polygon with blunt corners and slightly wavy sides.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    radius_um : float
        Mean radius, µm.
    corners : int
        Number of corners.
    roundness : int
        How often the corners are cut off: 2 is angular, 4 nearly round.
    waviness : float
        Amplitude of the waves along the sides, relative to the radius.

    Returns
    -------
    (N, 2) float64
        Rows and columns relative to the centre, µm.
    """
    angles = (np.arange(corners) + rng.uniform(-0.38, 0.38, corners)) * 2 * np.pi / corners + rng.uniform(0, 2 * np.pi)
    radii = radius_um * rng.uniform(0.78, 1.25, corners)
    points = np.stack([radii * np.sin(angles), radii * np.cos(angles)], axis=1)
    points *= np.array([1.0, rng.uniform(0.72, 1.0)])
    points = _turned(points, rng.uniform(0, np.pi))
    points = _bowed(rng, points, 4)
    for _ in range(roundness):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    wide = _waves(rng, len(points), waviness, 3, 12)
    fine = _waves(rng, len(points), 0.25 * waviness, 14, 48)
    return points * (wide * fine)[:, None]


def oval(rng: np.random.Generator, radius_um: float, elongation: float, irregularity: float) -> Points:
    """Outline of a nucleus or a round cell.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    radius_um : float
        Geometric mean of the half axes, µm.
    elongation : float
        Ratio of the half axes, at least 1.
    irregularity : float
        Amplitude of bumps and notches, relative to the radius.

    Returns
    -------
    (96, 2) float64
        Rows and columns relative to the centre, µm.
    """
    angles = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    stretch = np.sqrt(elongation)
    points = radius_um * np.stack([np.sin(angles) / stretch, np.cos(angles) * stretch], axis=1)
    return _turned(points * _waves(rng, len(points), irregularity, 2, 7)[:, None], rng.uniform(0, np.pi))


def fold(points: Points, angle: float, distance_um: float, bend_per_um: float = 0.0) -> tuple[Points, Points]:
    """Fold what lies beyond a line back over the cell.

    Parameters
    ----------
    points : (N, 2) float64
        Outline, µm.
    angle : float
        Direction of the line's normal, radians.
    distance_um : float
        Distance of the line from the centre, µm.
    bend_per_um : float
        Curvature of the line, 1/µm; positive bends it away from the centre.

    Returns
    -------
    rest, flap : (N, 2) float64
        Outline of what stays, and of what now lies on top of it.
    """
    normal = np.array([np.sin(angle), np.cos(angle)])
    along = points @ np.array([normal[1], -normal[0]])
    line = distance_um + 0.5 * bend_per_um * along**2
    beyond = (points @ normal - line)[:, None] * normal
    over = (points @ normal > line)[:, None]
    on_line = points - beyond
    return np.where(over, on_line, points), np.where(over, points - 2 * beyond, on_line)


def curved_line(rng: np.random.Generator, start: Points, angle: float, length_um: float, bend: float) -> Points:
    """Draw a smoothly bending line.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    start : (2,) float64
        First point, µm.
    angle : float
        First direction, radians from the column axis.
    length_um : float
        Length, µm.
    bend : float
        Standard deviation of the change of direction over the whole length, radians.

    Returns
    -------
    (24, 2) float64
        Points along the line, µm.
    """
    turns = np.cumsum(np.full(24, rng.normal(0, bend) / 24) + rng.normal(0, bend / 10, 24))
    steps = np.stack([np.sin(angle + turns), np.cos(angle + turns)], axis=1) * length_um / 24
    return np.asarray(start + np.cumsum(steps, axis=0))


def _waves(rng: np.random.Generator, count: int, amplitude: float, lowest: int, highest: int) -> Points:
    orders = np.arange(lowest, highest + 1)
    sizes = amplitude * rng.normal(0, 1, len(orders)) / (orders / lowest) / np.sqrt(len(orders))
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    return np.asarray(1 + (sizes * np.cos(orders * angles + phases)).sum(axis=1))


def _turned(points: Points, angle: float) -> Points:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


def _bowed(rng: np.random.Generator, points: Points, per_side: int) -> Points:
    """Points at equal steps of each side, the sides bent a little inwards or outwards."""
    part = np.arange(per_side)[None, :, None] / per_side
    following = np.roll(points, -1, axis=0)
    straight = points[:, None] * (1 - part) + following[:, None] * part
    side = following - points
    across = np.stack([-side[:, 1], side[:, 0]], axis=1) * rng.normal(0, 0.09, (len(points), 1))
    return np.asarray(straight + across[:, None] * 4 * part * (1 - part)).reshape(-1, 2)
