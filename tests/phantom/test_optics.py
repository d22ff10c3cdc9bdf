"""The microscope: physics that must hold whatever the settings."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from napari_pathsrgan.phantom.optics import (
    compress,
    density_of,
    develop,
    image_layers,
    margin_um,
    sample,
    scan_field,
    transfer_function,
)
from napari_pathsrgan.phantom.settings import (
    CLEAN,
    OBJECTIVES,
    WAVELENGTHS_UM,
    ColourResponse,
    Objective,
    ScannerSettings,
    draw_settings,
)

GREEN = WAVELENGTHS_UM[1]


def blob(size: int, centre: tuple[float, float], sigma: float = 4.0) -> np.ndarray:
    """(size, size, 3) float32: a Gaussian dot of density 1 with its centre at pixel coordinates `centre`."""
    rows, cols = np.mgrid[:size, :size]
    dot = np.exp(-((rows - centre[0]) ** 2 + (cols - centre[1]) ** 2) / (2 * sigma**2))
    return np.repeat(dot[..., None], 3, axis=2).astype(np.float32)


def centroid(density: np.ndarray, expected: tuple[float, float], reach: float = 30.0) -> tuple[float, float]:
    """Centre of mass under a wide window around the expected place, since the tails reach past the array."""
    rows, cols = np.mgrid[: density.shape[0], : density.shape[1]]
    near = density * np.exp(-((rows - expected[0]) ** 2 + (cols - expected[1]) ** 2) / (2 * reach**2))
    return float((rows * near).sum() / near.sum()), float((cols * near).sum() / near.sum())


# --- transfer function ------------------------------------------------------------------------------------------


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


# --- where things are -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", OBJECTIVES)
@pytest.mark.parametrize("centre", [(100.0, 100.0), (97.3, 104.8)])
def test_a_dot_stays_where_it_is(power: int, centre: tuple[float, float]) -> None:
    objective, pitch = OBJECTIVES[power], 0.25
    density = image_layers([(0.0, blob(200, centre))], pitch, objective)
    for channel in range(3):
        assert centroid(density[..., channel], centre) == pytest.approx(centre, abs=0.02)
    count = int(200 * pitch / objective.mpp)
    axis = (np.arange(count) + 0.5) * objective.mpp
    sampled = sample(density, pitch, axis, axis)
    row, col = ((part + 0.5) * pitch / objective.mpp - 0.5 for part in centre)
    assert centroid(sampled[..., 1], (row, col), 30 * pitch / objective.mpp) == pytest.approx((row, col), abs=0.02)


@pytest.mark.parametrize("power", OBJECTIVES)
def test_lateral_colour_moves_a_channel_by_what_was_asked(power: int) -> None:
    objective, pitch = OBJECTIVES[power], 0.25
    shifts = ((0.7, -0.4), (0.0, 0.0), (-0.25, 1.0))
    settings = dataclasses.replace(CLEAN, channel_shift_px=shifts)
    density = image_layers([(0.0, blob(220, (110.0, 110.0)))], pitch, objective, settings)
    for channel, shift in enumerate(shifts):
        row, col = (110 + part * objective.mpp / pitch for part in shift)
        assert centroid(density[..., channel], (row, col)) == pytest.approx((row, col), abs=0.02)


@pytest.mark.parametrize("power", OBJECTIVES)
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_density_is_kept(power: int, share: float) -> None:
    objective = OBJECTIVES[power]
    settings = dataclasses.replace(CLEAN, defocus_um=share * objective.depth_of_field_um)
    field = np.random.default_rng(0).random((120, 150, 3)).astype(np.float32)
    out = image_layers([(0.0, field)], 0.25, objective, settings)
    assert out.mean(axis=(0, 1)) == pytest.approx(field.mean(axis=(0, 1)), rel=0.02)
    flat = image_layers([(0.0, np.full((40, 40, 3), 0.3, np.float32))], 0.25, objective, settings)
    assert flat == pytest.approx(0.3, abs=1e-5)


def test_a_dot_keeps_its_density_through_4x() -> None:
    dot = blob(400, (200.0, 200.0), 3.0)
    assert image_layers([(0.0, dot)], 0.25, OBJECTIVES[4])[..., 1].sum() == pytest.approx(dot[..., 1].sum(), rel=0.01)


@pytest.mark.parametrize("power", OBJECTIVES)
def test_defocus_blurs_and_depth_is_defocus(power: int) -> None:
    objective = OBJECTIVES[power]
    depth = objective.depth_of_field_um
    dot = blob(160, (80.0, 80.0), 3.0)
    peaks = [
        image_layers([(0.0, dot)], 0.25, objective, dataclasses.replace(CLEAN, defocus_um=share * depth)).max()
        for share in (0, 0.5, 1)
    ]
    assert peaks[0] > peaks[1] > peaks[2]
    focused_up = dataclasses.replace(CLEAN, defocus_um=depth)
    sharp = image_layers([(depth, dot)], 0.25, objective, focused_up)
    assert sharp == pytest.approx(image_layers([(0.0, dot)], 0.25, objective), abs=2e-4)


def test_objectives_resolve_as_their_apertures_do() -> None:
    """A grating of 1 cycle/µm is beyond 4×, hardly there at 10× (cut-off 0.93) and clear at 20×."""
    cols = np.arange(400) * 0.25
    grating = np.broadcast_to(0.5 + 0.5 * np.cos(2 * np.pi * cols)[None, :, None], (60, 400, 3)).astype(np.float32)
    left = {
        power: image_layers([(0.0, grating)], 0.25, each)[20:40, 100:300, 1].std() for power, each in OBJECTIVES.items()
    }
    assert left[4] < 1e-3
    assert left[10] < 1e-3
    assert left[20] > 0.15


def test_layers_add() -> None:
    one, two = blob(80, (30.0, 30.0)), blob(80, (50.0, 45.0))
    objective = OBJECTIVES[10]
    both = image_layers([(2.0, one), (-3.0, two)], 0.3, objective)
    alone = image_layers([(2.0, one)], 0.3, objective) + image_layers([(-3.0, two)], 0.3, objective)
    assert both == pytest.approx(alone, abs=2e-3)


def test_no_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to scan"):
        image_layers([], 0.3, OBJECTIVES[4])


@pytest.mark.parametrize(("power", "most"), [(4, 1e-3), (10, 1e-3), (20, 2.5e-3)])
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_the_margin_is_enough(power: int, most: float, share: float) -> None:
    """What lies beyond the margin hardly changes densities inside; at 20× a margin twice as wide gains little."""
    objective, pitch = OBJECTIVES[power], 0.29
    settings = dataclasses.replace(CLEAN, defocus_um=share * objective.depth_of_field_um)
    margin = int(np.ceil(margin_um(objective, settings) / pitch))
    core = 40
    rng = np.random.default_rng(0)
    big = cv2.GaussianBlur(rng.normal(size=(core + 4 * margin,) * 2 + (3,)).astype(np.float32), (0, 0), 3)
    big = np.clip(0.3 + 0.25 * big / big.std(), 0, 1).astype(np.float32)
    whole = image_layers([(0.0, big)], pitch, objective, settings)
    cut = image_layers([(0.0, big[margin:-margin, margin:-margin])], pitch, objective, settings)
    inside = slice(margin, margin + core)
    apart = np.abs(whole[margin:-margin, margin:-margin][inside, inside] - cut[inside, inside])
    assert apart.max() < most


# --- the camera -------------------------------------------------------------------------------------------------


def test_develop_renders_density_as_transmittance() -> None:
    density = np.full((8, 8, 3), 0.3, np.float32)
    colour = ColourResponse(white=(1.0, 0.9, 0.8), gamma=1.0)
    pixels = develop(density, ScannerSettings(colour=colour), np.random.default_rng(0))
    assert pixels[0, 0] == pytest.approx([255 * white * 10**-0.3 for white in colour.white], abs=0.51)
    darker = develop(density, ScannerSettings(colour=dataclasses.replace(colour, gamma=1.2)), np.random.default_rng(0))
    assert np.all(darker < pixels)
    flared = develop(density, ScannerSettings(colour=colour, flare=0.05), np.random.default_rng(0))
    assert np.all(flared > pixels)
    assert np.all(develop(-density, ScannerSettings(colour=colour), np.random.default_rng(0))[..., 0] == 255)


def test_density_and_picture_are_each_others_inverse() -> None:
    image = np.random.default_rng(0).integers(4, 245, (20, 20, 3), dtype=np.uint8)
    white = (0.96, 0.96, 0.96)
    assert np.array_equal(develop(density_of(image, white), CLEAN, np.random.default_rng(0)), image)
    assert density_of(np.zeros((1, 1, 3), np.uint8)).max() == pytest.approx(np.log10(255), abs=1e-5)


def test_photon_noise_is_that_of_the_full_well() -> None:
    density = np.full((200, 200, 3), 0.3, np.float32)
    settings = ScannerSettings(full_well=5000.0, read_noise=0.0)
    level = 0.96 * 10**-0.3
    deviation = develop(density, settings, np.random.default_rng(0)).std()
    assert deviation == pytest.approx(255 * np.sqrt(level / 5000), rel=0.03)
    read = develop(density, ScannerSettings(read_noise=1.5), np.random.default_rng(0)).std()
    assert read == pytest.approx(1.5, rel=0.05)


def test_the_mosaic_keeps_colours_and_places() -> None:
    density = 0.1 + 0.4 * blob(64, (30.0, 34.0), 6.0) * np.array([0.5, 1.0, 0.8], np.float32)
    plain = develop(density, CLEAN, np.random.default_rng(0)).astype(int)
    mosaic = develop(density, dataclasses.replace(CLEAN, mosaic=True), np.random.default_rng(0)).astype(int)
    assert np.abs(plain - mosaic)[2:-2, 2:-2].max() <= 6
    assert np.abs((plain - mosaic)[2:-2, 2:-2].mean(axis=(0, 1))).max() < 0.3
    assert np.abs(plain - mosaic).any()


def test_sharpening_raises_contrast() -> None:
    density = 0.1 + 0.4 * blob(64, (32.0, 32.0), 2.0)
    settings = dataclasses.replace(CLEAN, sharpen_amount=1.0)
    sharp = develop(density, settings, np.random.default_rng(0))
    assert sharp.min() < develop(density, CLEAN, np.random.default_rng(0)).min() - 10


@pytest.mark.parametrize("subsampling", ["444", "420"])
def test_jpeg_loses_more_at_lower_quality(subsampling: str) -> None:
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8), (0, 0), 1.5)
    errors = [np.abs(compress(image, quality, subsampling).astype(int) - image).mean() for quality in (95, 60, 30)]
    assert 0 < errors[0] < errors[1] < errors[2]
    assert np.array_equal(compress(image, 0, subsampling), image)


def test_jpeg_subsampling_costs_colour() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, ::2] = (200, 60, 60)
    image[:, 1::2] = (60, 60, 200)
    full, half = (np.abs(compress(image, 95, mode).astype(int) - image).mean() for mode in ("444", "420"))
    assert half > 5 * full


# --- whole scans ------------------------------------------------------------------------------------------------


def test_a_scan_is_the_same_for_the_same_seed() -> None:
    density = 0.5 * blob(240, (100.0, 130.0), 20.0)
    objective = OBJECTIVES[4]

    def scan(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return scan_field(density, 0.27, objective, draw_settings(rng, objective), rng)

    assert np.array_equal(scan(3), scan(3))
    assert not np.array_equal(scan(3), scan(4))


@pytest.mark.parametrize("power", OBJECTIVES)
def test_a_scan_covers_its_field(power: int) -> None:
    objective = OBJECTIVES[power]
    pixels = scan_field(np.zeros((211, 300, 3), np.float32), 0.27, objective, CLEAN, np.random.default_rng(0))
    assert pixels.shape == (int(211 * 0.27 / objective.mpp), int(300 * 0.27 / objective.mpp), 3)
    assert np.all(pixels == round(0.96 * 255))


def test_a_field_too_coarse_is_refused() -> None:
    with pytest.raises(ValueError, match="too coarse"):
        scan_field(np.zeros((20, 20, 3), np.float32), 0.4, OBJECTIVES[20], CLEAN, np.random.default_rng(0))


def test_drawn_scanners_stay_within_their_ranges() -> None:
    rng = np.random.default_rng(0)
    objective = OBJECTIVES[4]
    depth = objective.depth_of_field_um
    drawn = [draw_settings(rng, objective) for _ in range(300)]
    assert all(0.85 <= each.na_scale <= 1.08 for each in drawn)
    assert all(abs(each.defocus_um) <= 0.6 * depth for each in drawn)
    assert all(each.channel_shift_px[1] == (0, 0) and each.channel_defocus_um[1] == 0 for each in drawn)
    assert max(abs(part) for each in drawn for pair in each.channel_shift_px for part in pair) <= 1
    assert {each.mosaic for each in drawn} == {True, False}
    assert {each.jpeg_subsampling for each in drawn} == {"444", "420"}
    assert all(30 <= each.jpeg_quality <= 95 for each in drawn)
    kept = ColourResponse((0.9, 0.9, 0.9), 1.1)
    assert draw_settings(rng, objective, kept).colour == kept
