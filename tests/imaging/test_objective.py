"""The transfer function: physics that must hold whatever the objective."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pathsrgan.imaging.objective import OBJECTIVES, WAVELENGTHS_UM, Objective, transfer_function

GREEN = WAVELENGTHS_UM[1]


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=lambda each: f"{each.magnification:g}x")
@pytest.mark.parametrize("depths", [0.0, 0.5, 2.0])
def test_transfer_function_at_its_limits(objective: Objective, depths: float) -> None:
    cutoff = 2 * objective.na / GREEN
    defocus = depths * objective.depth_of_field_um
    limits = transfer_function(np.array([0.0, cutoff, 1.5 * cutoff, 100.0]), objective.na, GREEN, defocus)
    assert limits == pytest.approx([1, 0, 0, 0], abs=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=lambda each: f"{each.magnification:g}x")
def test_transfer_function_falls_with_frequency_and_with_defocus(objective: Objective) -> None:
    frequencies = np.linspace(0, 2 * objective.na / GREEN, 200)
    sharp = transfer_function(frequencies, objective.na, GREEN, 0)
    assert np.all(np.diff(sharp) < 0)
    # Halfway to the cut-off a perfect circular pupil passes 39.1 % (Goodman, Fourier Optics, § 6.3).
    assert np.interp(objective.na / GREEN, frequencies, sharp) == pytest.approx(0.391, abs=1e-3)
    half, whole = (
        transfer_function(frequencies, objective.na, GREEN, share * objective.depth_of_field_um) for share in (0.5, 1)
    )
    inside = slice(1, -1)
    assert np.all(half[inside] < sharp[inside])
    assert np.all(whole[inside] < half[inside])
    mirrored = transfer_function(frequencies, objective.na, GREEN, -objective.depth_of_field_um)
    assert np.array_equal(mirrored, whole)


def test_a_wider_aperture_and_a_shorter_wavelength_pass_more() -> None:
    frequencies = np.linspace(0.05, 0.3, 20)
    assert np.all(transfer_function(frequencies, 0.12, GREEN, 0) > transfer_function(frequencies, 0.10, GREEN, 0))
    red, _, blue = WAVELENGTHS_UM
    assert np.all(transfer_function(frequencies, 0.1, blue, 0) > transfer_function(frequencies, 0.1, red, 0))


def test_far_out_of_focus_contrast_is_reversed() -> None:
    frequencies = np.linspace(0, 2 * 0.1 / GREEN, 400)
    assert transfer_function(frequencies, 0.1, GREEN, 4 * OBJECTIVES[4].depth_of_field_um).min() < -0.01
