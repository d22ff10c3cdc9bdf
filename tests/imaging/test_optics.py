"""Imaging: where things are, how blur adds up, and what a tone curve makes of it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from scipy import integrate
from tests.imaging.specimens import blob, centroid, dark_dot

from napari_pathsrgan.imaging.objective import OBJECTIVES, WAVELENGTHS_UM, transfer_function
from napari_pathsrgan.imaging.optics import image_layers, margin_um
from napari_pathsrgan.imaging.scanner import CLEAN, PURE, ScannerSettings
from napari_pathsrgan.imaging.tone import CameraResponse

GAMMAS = [0.0, 1.0, 1.8, 2.2]


def tone(gamma: float, **optics: object) -> ScannerSettings:
    """A perfect scanner with a white background and a tone curve."""
    return ScannerSettings(camera=CameraResponse(gamma=gamma, white=(1.0, 1.0, 1.0)), **optics)


@pytest.mark.parametrize("power", OBJECTIVES)
@pytest.mark.parametrize("centre", [(100.0, 100.0), (97.3, 104.8)])
@pytest.mark.parametrize("gamma", [0.0, 2.2])
def test_a_dot_stays_where_it_is(power: int, centre: tuple[float, float], gamma: float) -> None:
    objective, pitch = OBJECTIVES[power], 0.25
    image = image_layers([(0.0, dark_dot(200, centre))], pitch, objective, tone(gamma))
    count = int(200 * pitch / objective.mpp)
    axis = (np.arange(count) + 0.5) * objective.mpp
    sampled = 1 - image.at(axis, axis)
    row, col = ((part + 0.5) * pitch / objective.mpp - 0.5 for part in centre)
    for channel in range(3):
        found = centroid(sampled[..., channel], (row, col), 30 * pitch / objective.mpp)
        assert found == pytest.approx((row, col), abs=0.03)


@pytest.mark.parametrize("power", OBJECTIVES)
def test_lateral_colour_moves_a_channel_by_its_shift(power: int) -> None:
    objective, pitch = OBJECTIVES[power], 0.25
    shifts = ((0.7, -0.4), (0.0, 0.0), (-0.25, 1.0))
    settings = dataclasses.replace(CLEAN, channel_shift_px=shifts)
    image = image_layers([(0.0, dark_dot(220, (110.0, 110.0)))], pitch, objective, settings)
    step = image.pitch_um / pitch
    for channel, shift in enumerate(shifts):
        row, col = ((110.5 + part * objective.mpp / pitch) / step - 0.5 for part in shift)
        found = centroid(1 - image.intensity[..., channel], (row, col), 30 / step)
        assert found == pytest.approx((row, col), abs=0.03)


@pytest.mark.parametrize("power", OBJECTIVES)
@pytest.mark.parametrize("defocus", [0.0, 1.0])
@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_light_is_kept(power: int, defocus: float, gamma: float) -> None:
    """Blur moves light and loses none: the mean of the linear intensity stays."""
    objective = OBJECTIVES[power]
    settings = tone(gamma, defocus_um=defocus * objective.depth_of_field_um)
    values = np.random.default_rng(0).random((120, 152, 3)).astype(np.float32)
    image = image_layers([(0.0, values)], 0.25, objective, settings).intensity
    assert image.mean(axis=(0, 1)) == pytest.approx((values**gamma).mean(axis=(0, 1)), rel=0.02)
    flat = image_layers([(0.0, np.full((40, 40, 3), 0.3, np.float32))], 0.25, objective, settings).intensity
    assert flat == pytest.approx(0.3**gamma, abs=1e-5)


def test_a_point_source_is_as_high_as_the_transfer_function_says() -> None:
    """A hole of one pixel in black: its peak is the integral of the transfer function over all frequencies."""
    pitch, objective = 0.25, OBJECTIVES[4]
    values = np.zeros((256, 256, 3), np.float32)
    values[128, 128] = 1.0
    image = image_layers([(0.0, values)], pitch, objective, tone(2.2))
    na, green = objective.na, WAVELENGTHS_UM[1]

    def weight(row: float, col: float) -> float:
        pixel = (
            np.sinc(row * objective.mpp) * np.sinc(col * objective.mpp) * np.sinc(row * pitch) * np.sinc(col * pitch)
        )
        return float(transfer_function(np.hypot(row, col), na, green, 0.0) * pixel)

    edge = 2 * na / green
    quarter, _ = integrate.dblquad(weight, 0, edge, 0, edge, epsabs=1e-6)
    peak = image.at(np.array([128.5 * pitch]), np.array([128.5 * pitch]))[0, 0, 1]
    assert peak == pytest.approx(4 * quarter * pitch**2, rel=0.02)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_a_sharp_edge_has_the_power_mean_of_both_sides_in_its_middle(gamma: float) -> None:
    """Half of the light of each side meets on the edge: ((aᵞ + bᵞ) / 2)^(1/γ), and √(ab) for optical density."""
    dark, light = 0.2, 0.9
    values = np.full((128, 256, 3), dark, np.float32)
    values[:, 128:] = light
    settings = tone(gamma)
    image = image_layers([(0.0, values)], 0.25, OBJECTIVES[4], settings)
    middle = image.at(np.array([16.0]), np.array([128 * 0.25]))[0, 0]
    encoded = settings.camera.encoded(settings.camera.exposed(middle))
    wanted = np.sqrt(dark * light) if gamma == 0 else ((dark**gamma + light**gamma) / 2) ** (1 / gamma)
    assert encoded == pytest.approx(wanted, abs=0.004)


@pytest.mark.parametrize("power", OBJECTIVES)
def test_defocus_blurs_and_depth_is_defocus(power: int) -> None:
    objective = OBJECTIVES[power]
    depth = objective.depth_of_field_um
    dot = dark_dot(160, (80.0, 80.0), 3.0)
    depths = [
        1 - image_layers([(0.0, dot)], 0.25, objective, dataclasses.replace(CLEAN, defocus_um=share * depth)).intensity
        for share in (0, 0.5, 1)
    ]
    assert depths[0].max() > depths[1].max() > depths[2].max()
    focused_up = dataclasses.replace(CLEAN, defocus_um=depth)
    sharp = image_layers([(depth, dot)], 0.25, objective, focused_up).intensity
    assert sharp == pytest.approx(image_layers([(0.0, dot)], 0.25, objective).intensity, abs=2e-4)


def test_objectives_resolve_as_their_apertures_do() -> None:
    """A grating of 1 cycle/µm is beyond 4×, hardly there at 10× (cut-off 0.93) and clear at 20×."""
    cols = np.arange(400) * 0.25
    grating = np.broadcast_to(0.5 + 0.5 * np.cos(2 * np.pi * cols)[None, :, None], (60, 400, 3)).astype(np.float32)
    axes = np.arange(20, 40) * 0.25, np.arange(100, 300) * 0.25
    left = {
        power: image_layers([(0.0, grating)], 0.25, each, tone(1.0)).at(*axes)[..., 1].std()
        for power, each in OBJECTIVES.items()
    }
    assert left[4] < 1e-3
    assert left[10] < 1e-3
    assert left[20] > 0.15


@pytest.mark.parametrize("gamma", [0.0, 2.2])
def test_layers_multiply(gamma: float) -> None:
    one, two = dark_dot(80, (30.0, 30.0)), dark_dot(80, (50.0, 45.0))
    objective, settings = OBJECTIVES[10], tone(gamma)
    both = image_layers([(2.0, one), (-3.0, two)], 0.3, objective, settings).intensity
    alone = [image_layers([layer], 0.3, objective, settings).intensity for layer in ((2.0, one), (-3.0, two))]
    assert both == pytest.approx(alone[0] * alone[1], abs=2e-3)


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to scan"):
        image_layers([], 0.3, OBJECTIVES[4])


@pytest.mark.parametrize("size", [(64, 96), (61, 97), (62, 95)])
def test_the_image_covers_its_specimen_whatever_the_size(size: tuple[int, int]) -> None:
    """Frequencies that an objective does not pass are left out: on a coarser grid, but one of the same extent."""
    image = image_layers([(0.0, np.ones((*size, 3), np.float32))], 0.25, OBJECTIVES[4], PURE)
    assert np.array(image.intensity.shape[:2]) * image.pitch_um == pytest.approx(np.array(size) * 0.25)
    assert image.intensity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("power", [4, 10])
def test_leaving_out_what_an_objective_does_not_pass_changes_nothing(power: int) -> None:
    """Odd sizes keep every pixel, even ones a half or a quarter: both show the same."""
    values = np.clip(1 - 0.8 * blob(121, (60.2, 57.9), 5.0), 0, 1).astype(np.float32)
    fine = image_layers([(0.0, values)], 0.25, OBJECTIVES[power], tone(2.2))
    coarse = image_layers([(0.0, np.pad(values, ((0, 3), (0, 3), (0, 0)), "edge"))], 0.25, OBJECTIVES[power], tone(2.2))
    axis = np.arange(8, 22) + 0.37
    assert fine.at(axis, axis) == pytest.approx(coarse.at(axis, axis), abs=5e-3)  # a grey level: positions are rounded
    assert power == 10 or coarse.pitch_um > fine.pitch_um


@pytest.mark.parametrize(("power", "most"), [(4, 1.5e-3), (10, 1.5e-3), (20, 4e-3)])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_the_margin_is_enough(power: int, most: float, share: float) -> None:
    """What lies beyond the margin hardly changes the light inside; at 20× a margin twice as wide gains little."""
    objective, pitch = OBJECTIVES[power], 0.29
    settings = dataclasses.replace(tone(1.0), defocus_um=share * objective.depth_of_field_um)
    margin = -(-int(np.ceil(margin_um(objective, settings) / pitch)) // 4) * 4
    core = 40
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.normal(size=(core + 4 * margin,) * 2 + (3,)).astype(np.float32), (0, 0), 3)
    big = np.clip(0.7 + 0.25 * big / big.std(), 0, 1).astype(np.float32)
    axis = (np.arange(core) + 0.5 + margin) * pitch
    whole = image_layers([(0.0, big)], pitch, objective, settings).at(axis + margin * pitch, axis + margin * pitch)
    cut = image_layers([(0.0, big[margin:-margin, margin:-margin])], pitch, objective, settings).at(axis, axis)
    assert np.abs(whole - cut).max() < most
