"""The smooth field: true to a drift, unmoved by a bad patch."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pathsrgan.registration.offset_field import OffsetField


@pytest.fixture
def places() -> np.ndarray:
    axis = np.arange(0, 1500, 150.0)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)


def drift(places: np.ndarray) -> np.ndarray:
    return 40 + places @ np.array([[0.004, 0.001], [-0.002, 0.003]])


def test_bad_patches_do_not_spoil_their_neighbours(places: np.ndarray) -> None:
    offsets = drift(places) + np.random.default_rng(0).normal(0, 0.01, places.shape)
    bad = [12, 47, 48, 83]
    offsets[bad] += [5.0, -4.0]
    field = OffsetField(places, offsets)
    assert np.abs(field.at(places) - drift(places)).max() < 0.05
    assert (field.deviations_um[bad] > 5).all()
    assert field.weights[bad].max() == 0
    assert np.delete(field.deviations_um, bad).max() < 0.1
    assert np.abs(field.slopes(places)[:, 0, 0] - 0.004).max() < 5e-4


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_measurements_give_a_constant(count: int) -> None:
    places = np.random.default_rng(1).uniform(0, 100, (count, 2))
    field = OffsetField(places, np.tile([3.0, -2.0], (count, 1)))
    np.testing.assert_allclose(field.at(np.array([[50.0, 900.0]])), [[3.0, -2.0]])


def test_measurements_on_a_line_say_nothing_across_it() -> None:
    places = np.stack([np.arange(20) * 100.0, np.zeros(20)], axis=1)
    field = OffsetField(places, places * 0.01)
    assert abs(field.at(np.array([[1000.0, 500.0]]))[0, 0] - 10) < 0.1


def test_a_drift_that_bends_is_followed(places: np.ndarray) -> None:
    def bend(where: np.ndarray) -> np.ndarray:
        phase = 2 * np.pi * where @ np.array([[0.4, 0.7], [0.6, -0.3]]) / 1000
        return 1.4 * np.sin(phase)

    rng = np.random.default_rng(4)
    field = OffsetField(places, bend(places) + rng.normal(0, 0.02, places.shape))
    inner = rng.uniform(200, 1150, (200, 2))
    errors = np.abs(field.at(inner) - bend(inner))
    assert np.percentile(errors, 95) < 0.06  # a plane through 10 neighbours: 0.13
    assert errors.max() < 0.15
