"""The specimen: the same from any window, and true to its own records."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_pathsrgan.phantom.cells import CLASSES, Specimen
from napari_pathsrgan.phantom.epithelium import KINDS, Anatomy, draw_cell
from napari_pathsrgan.phantom.population import DEPTHS_UM, Population
from napari_pathsrgan.phantom.stains import draw_palette

SIZE_UM = (2000.0, 2000.0)
PITCH_UM = 0.293


@pytest.fixture(scope="module")
def specimen() -> Specimen:
    return Specimen(3, SIZE_UM, background_share=0.2)


Floats = npt.NDArray[np.float32]


def total(specimen: Specimen, row: float, col: float, height: int, width: int, pitch: float) -> Floats:
    """Optical density of all planes together."""
    return np.sum([density for _, density in specimen.render_layers(row, col, height, width, pitch)], axis=0)


def by_depth(specimen: Specimen, row: float, col: float, height: int, width: int) -> dict[float, Floats]:
    return dict(specimen.render_layers(row, col, height, width, PITCH_UM))


def test_layers_are_densities_of_known_planes(specimen: Specimen) -> None:
    layers = specimen.render_layers(600, 600, 300, 400, PITCH_UM)
    depths = [depth for depth, _ in layers]
    assert depths == sorted(set(depths))
    assert set(depths) <= set(DEPTHS_UM)
    for _, density in layers:
        assert density.shape == (300, 400, 3)
        assert density.dtype == np.float32
        assert density.min() >= 0
        assert density.max() < 6


def test_same_seed_same_pixels_other_seed_other_pixels() -> None:
    windows = [total(Specimen(seed, SIZE_UM, 0.1), 500, 500, 128, 128, 1.0) for seed in (5, 5, 6)]
    assert windows[0].any()
    np.testing.assert_array_equal(windows[0], windows[1])
    assert not np.array_equal(windows[0], windows[2])


@settings(max_examples=12, deadline=None)
@given(row=st.integers(0, 300), col=st.integers(0, 300), height=st.integers(1, 90), width=st.integers(1, 90))
def test_any_window_agrees_with_a_larger_one(specimen: Specimen, row: int, col: int, height: int, width: int) -> None:
    corner = 700.1, 433.7
    whole = by_depth(specimen, *corner, 400, 400)
    part = by_depth(specimen, corner[0] + row * PITCH_UM, corner[1] + col * PITCH_UM, height, width)
    for depth, density in part.items():
        inside = whole.get(depth, np.zeros((400, 400, 3), np.float32))[row : row + height, col : col + width]
        np.testing.assert_allclose(density[: inside.shape[0], : inside.shape[1]], inside, atol=1e-5)


def test_order_and_memory_do_not_change_a_window(specimen: Specimen) -> None:
    forgetful = Specimen(3, SIZE_UM, background_share=0.2, memory_bytes=1)
    forgetful.render_layers(1500, 1500, 200, 200, 1.0)
    np.testing.assert_array_equal(
        total(forgetful, 600, 600, 150, 150, PITCH_UM), total(specimen, 600, 600, 150, 150, PITCH_UM)
    )


def test_a_window_moved_by_half_a_pixel_lies_between_its_neighbours(specimen: Specimen) -> None:
    here = total(specimen, 600, 600, 200, 200, PITCH_UM)
    right = total(specimen, 600, 600 + PITCH_UM, 200, 200, PITCH_UM)
    between = total(specimen, 600, 600 + PITCH_UM / 2, 200, 200, PITCH_UM)
    assert np.abs(here - right).mean() > 2 * np.abs(between - (here + right) / 2).mean()


@pytest.mark.parametrize("coarse", [0.5, 1.0])
def test_coarse_windows_show_the_same_specimen(specimen: Specimen, coarse: float) -> None:
    """Compared at the 3.4 µm that an objective of NA 0.1 resolves: who looks at a coarse window sees no more."""
    step, side = round(coarse / 0.25), 160
    detailed = total(specimen, 600, 600, side * step, side * step, 0.25)
    reduced = detailed.reshape(side, step, side, step, 3).mean(axis=(1, 3))
    direct = total(specimen, 600, 600, side, side, coarse)
    seen, expected = (cv2.GaussianBlur(image, (0, 0), 1.4 / coarse) for image in (direct, reduced))
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.995
    assert abs(seen.mean() - expected.mean()) < 0.04 * expected.mean()


def test_nuclei_are_darker_than_their_surroundings(specimen: Specimen) -> None:
    contrasts = []
    for cell in specimen.cells_in(400, 400, 600, 600):
        if cell.kind == "leucocyte":
            continue
        row, col = cell.nucleus_um
        window = total(specimen, row - 15, col - 15, 60, 60, 0.5)[..., 0]
        axis = (np.arange(60) + 0.5) * 0.5 - 15
        radius = np.hypot(axis[:, None], axis[None, :])
        inside = window[radius < 0.6 * cell.nucleus_radius_um].mean()
        around = window[(radius > 1.6 * cell.nucleus_radius_um) & (radius < 14.5)].mean()
        contrasts.append(inside - around)
    assert len(contrasts) > 50
    # Where cells lie on each other a neighbour's nucleus or a fold may be darker still.
    assert np.mean(np.array(contrasts) > 0.1) > 0.9


def test_mask_lies_where_the_records_say(specimen: Specimen) -> None:
    corner, side = (500.0, 700.0), 1600
    mask = specimen.nucleus_mask(*corner, side, side, PITCH_UM)
    assert mask.dtype == np.uint8
    assert mask.max() <= len(CLASSES)
    hit = []
    for cell in specimen.cells_in(*corner, side * PITCH_UM, side * PITCH_UM):
        row, col = (int((place - start) / PITCH_UM) for place, start in zip(cell.nucleus_um, corner, strict=True))
        if 0 <= row < side and 0 <= col < side and cell.kind != "leucocyte":
            hit.append(mask[row, col] == 1 + CLASSES.index(cell.kind))
    assert len(hit) > 40
    assert np.mean(hit) > 0.85, "nuclei overlap now and then, no more"
    density = total(specimen, *corner, side, side, PITCH_UM).mean(axis=-1)
    assert density[mask > 0].mean() > 2 * density[mask == 0].mean()


def test_mask_windows_agree(specimen: Specimen) -> None:
    whole = specimen.nucleus_mask(600, 600, 300, 300, PITCH_UM)
    part = specimen.nucleus_mask(600 + 70 * PITCH_UM, 600 + 90 * PITCH_UM, 100, 120, PITCH_UM)
    np.testing.assert_array_equal(part, whole[70:170, 90:210])


def test_records_of_parts_make_up_the_whole(specimen: Specimen) -> None:
    whole = specimen.cells_in(0, 0, 800, 800)
    parts = [specimen.cells_in(row, col, 400, 400) for row in (0, 400) for col in (0, 400)]
    assert sorted(cell.centre_um for part in parts for cell in part) == sorted(cell.centre_um for cell in whole)


def test_all_classes_occur_and_lie_within_the_size(specimen: Specimen) -> None:
    cells = specimen.cells_in(-500, -500, 4000, 4000)
    assert {cell.kind for cell in cells} == set(CLASSES)
    assert all(0 <= place < 2000 for cell in cells for place in cell.centre_um)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 1.0])
def test_background_share_decides_how_much_is_empty(share: float) -> None:
    population = Population(11, share, warm_share=0.5, abnormal_share=0.2)
    axis = np.arange(0, 40_000, 200.0)
    density = population.density(*np.meshgrid(axis, axis))
    assert np.mean(density == 0) == pytest.approx(share, abs=0.06)


def test_background_holds_nothing() -> None:
    specimen = Specimen(11, SIZE_UM, background_share=1.0)
    assert specimen.cells_in(0, 0, *SIZE_UM) == []
    assert not total(specimen, 0, 0, 100, 100, 20.0).any()


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_cell_reaches_beyond_its_reach(kind: str) -> None:
    palette = draw_palette(np.random.default_rng(0))
    traits = KINDS[kind]
    for seed in range(12):
        anatomy = Anatomy(kind, traits.radius_um[1], traits.nucleus_radius_um[1], (0.0, 0.0), 0.5, seed)
        density = draw_cell(anatomy, palette, 0.5).density
        edge = np.concatenate([density[:, 0], density[:, -1], density[:, :, 0], density[:, :, -1]], axis=1)
        assert np.isfinite(density).all()
        assert edge.max() < 1e-3, f"seed {seed} is cut off"
