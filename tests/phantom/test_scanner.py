"""Slide files of a phantom: readable, true to their own truth, and all or nothing."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import openslide
import pytest
import tifffile

from napari_pathsrgan.errors import OptionError, OutputError
from napari_pathsrgan.imaging.objective import OBJECTIVES
from napari_pathsrgan.imaging.optics import image_layers
from napari_pathsrgan.imaging.scanner import CLEAN
from napari_pathsrgan.phantom import scanner
from napari_pathsrgan.phantom.cells import CLASSES, Specimen
from napari_pathsrgan.phantom.scan import Scan
from napari_pathsrgan.phantom.scanner import PhantomFiles, write_phantom
from napari_pathsrgan.phantom.slide_file import level_shapes, whole_shape
from napari_pathsrgan.phantom.sparse import write_sparse_phantom
from napari_pathsrgan.phantom.truth import PhantomTruth, ScanOffset, random_offset

SIZE_UM = (600.0, 500.0)
SEED = 4


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> PhantomFiles:
    return write_phantom(tmp_path_factory.mktemp("phantom") / "slide", SIZE_UM, SEED, background_share=0.1)


@pytest.fixture(scope="module")
def truth(files: PhantomFiles) -> PhantomTruth:
    return PhantomTruth.load(files.truth)


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


@pytest.mark.parametrize("magnification", [4, 10, 20])
def test_openslide_reads_scale_and_levels(files: PhantomFiles, magnification: int) -> None:
    mpp = OBJECTIVES[magnification].mpp
    with openslide.OpenSlide(files.scans[magnification]) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(mpp)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(mpp)
        assert float(slide.properties["openslide.objective-power"]) == magnification
        cols, rows = slide.dimensions
        assert rows * mpp >= SIZE_UM[0]
        assert cols * mpp >= SIZE_UM[1]
        assert rows * mpp < SIZE_UM[0] + 25
        assert cols * mpp < SIZE_UM[1] + 25
        assert list(slide.level_downsamples) == [4.0**level for level in range(slide.level_count)]
        full = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
        for level in range(1, slide.level_count):
            seen = np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB"))
            expected = cv2.resize(full, slide.level_dimensions[level], interpolation=cv2.INTER_AREA)
            assert np.abs(seen.astype(float) - expected).mean() < 4


@pytest.mark.parametrize("magnification", [4, 10, 20])
def test_scan_shows_the_specimen_where_the_truth_says(
    files: PhantomFiles, truth: PhantomTruth, magnification: int
) -> None:
    """Cells are searched around their true place by correlation; an offset of the wrong sign or size would show."""
    specimen = Specimen(SEED, SIZE_UM, 0.1)
    mpp = OBJECTIVES[magnification].mpp
    darkness = 255 - pixels(files.scans[magnification]).mean(axis=-1)
    errors = []
    for row_um, col_um in [(250.0, 200.0), (250.0, 380.0), (450.0, 200.0), (450.0, 380.0)]:
        offset = np.array(truth.offset_um(row_um, col_um, magnification))
        corner = np.array([row_um, col_um]) + offset
        pixel = np.round(corner / mpp).astype(int)
        half = round(60 / mpp)
        # The specimen as this scan's pixels would see it, were the offset here the same all around.
        start = (pixel - half) * mpp - offset
        layers = [
            (depth, np.power(10.0, -density, dtype=np.float32))
            for depth, density in specimen.render_layers(start[0], start[1], 4 * half, 4 * half, mpp / 2)
        ]
        axis = (np.arange(2 * half) + 0.5) * mpp
        imaged = image_layers(layers, mpp / 2, OBJECTIVES[magnification]).at(axis, axis)
        expected = 1 - np.power(imaged, 1 / CLEAN.camera.gamma).mean(axis=-1)
        seen = darkness[pixel[0] - half : pixel[0] + half, pixel[1] - half : pixel[1] + half]
        window = cv2.createHanningWindow((2 * half, 2 * half), cv2.CV_32F)
        images = expected.astype(np.float32), seen.astype(np.float32)
        (shift_col, shift_row), response = cv2.phaseCorrelate(*images, window)
        assert response > 0.1
        errors.append([shift_row, shift_col])
    assert np.abs(np.median(errors, axis=0)).max() < 0.5
    assert np.abs(errors).max() < 1.0


def test_scans_lie_differently_and_waver(truth: PhantomTruth) -> None:
    rows, cols = np.meshgrid(np.linspace(0, 600, 20), np.linspace(0, 500, 20))
    starts = [truth.offsets[magnification].global_um for magnification in (4, 10, 20)]
    assert len(set(starts)) == 3
    for magnification in (4, 10, 20):
        row_offset, col_offset = truth.offset_um(rows, cols, magnification)
        assert 0.01 < np.hypot(np.ptp(row_offset), np.ptp(col_offset)) < 10


def test_offset_and_its_inverse_agree() -> None:
    offset = random_offset(np.random.default_rng(1), (4000.0, 3000.0), 40)
    rows, cols = np.meshgrid(np.linspace(-50, 4000, 30), np.linspace(0, 3000, 30))
    row_offset, col_offset = offset.at(rows, cols)
    back = offset.specimen_um(rows + row_offset, cols + col_offset)
    np.testing.assert_allclose(back[0], rows, atol=1e-6)
    np.testing.assert_allclose(back[1], cols, atol=1e-6)


def test_nuclei_of_the_table_lie_in_the_mask_and_are_dark(files: PhantomFiles, truth: PhantomTruth) -> None:
    assert files.nuclei is not None
    mask, image = tifffile.imread(files.nuclei), pixels(files.scans[20])
    assert mask.shape == image.shape[:2]
    with files.cells.open(newline="", encoding="utf-8") as table:
        cells = list(csv.DictReader(table))
    assert len(cells) == truth.cell_count
    hits = []
    for cell in cells:
        place = np.array([float(cell["nucleus_row_um"]), float(cell["nucleus_col_um"])])
        row, col = ((place + np.array(truth.offset_um(*place, 20))) / 0.293).astype(int)
        if 0 <= row < mask.shape[0] and 0 <= col < mask.shape[1] and cell["class"] != "leucocyte":
            hits.append(mask[row, col] == 1 + CLASSES.index(cell["class"]))
    assert len(hits) > 60
    assert np.mean(hits) > 0.85
    grey = image.mean(axis=-1)
    ring = cv2.dilate((mask > 0).astype(np.uint8), np.ones((15, 15), np.uint8)) - (mask > 0)
    assert grey[mask > 0].mean() < grey[ring > 0].mean() - 40


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        made = write_phantom(tmp_path / name, 150.0, 9, (4, 20), background_share=0.0)
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(made.folder.iterdir())])
    assert digests[0] == digests[1]
    assert len(digests[0]) == 5


def test_chunks_meet_without_a_seam() -> None:
    """Noise apart, a piece scanned alone is the same piece of a larger one."""
    specimen = Specimen(SEED, (400.0, 400.0), 0.0)
    scan = Scan(specimen, 20, CLEAN, random_offset(np.random.default_rng(0), (400.0, 400.0), 10))
    whole = scan.pixels(256, 256, 512, 512).astype(int)
    part = scan.pixels(512, 512, 256, 256).astype(int)
    assert np.abs(whole[256:, 256:] - part).max() <= 2


def test_progress_ends_at_one(tmp_path: Path) -> None:
    told: list[float] = []
    write_phantom(tmp_path / "out", 120.0, 1, (4, 10), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="exists already"):
        write_phantom(tmp_path / "out", 150.0, 1)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine.txt"]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), RuntimeError("broken"), KeyboardInterrupt()]
)
def test_nothing_is_left_behind_on_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(scanner, "_write_cells", fail)
    with pytest.raises(OutputError if isinstance(failure, OSError) else type(failure)):
        write_phantom(tmp_path / "out", 120.0, 1, (4,))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match="cannot be written"):
        write_phantom(tmp_path / "file" / "out", 120.0, 1, (4,))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "options",
    [{"size_um": 10.0}, {"seed": -1}, {"magnifications": (5,)}, {"magnifications": ()}, {"background_share": 1.5}],
    ids=str,
)
def test_senseless_options_are_told(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        write_phantom(tmp_path / "out", **({"size_um": 150.0, "seed": 1} | options))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "cols"), [(100, 100), (1025, 300), (13_653, 9_001), (100_000, 100_000)])
def test_downsamples_are_exact(rows: int, cols: int) -> None:
    shape = whole_shape(rows, cols)
    assert shape[0] >= rows
    assert shape[1] >= cols
    for level, (level_rows, level_cols) in enumerate(level_shapes(*shape)):
        assert (level_rows * 4**level, level_cols * 4**level) == shape
    assert max(level_shapes(*shape)[-1]) <= 1024


def test_sparse_slide_is_background_but_for_its_windows(tmp_path: Path) -> None:
    path = write_sparse_phantom(tmp_path / "huge.tiff", 8_000, 2, [(2048, 4096, 512, 512)])
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions >= (8_000, 8_000)
        assert slide.level_count == 3
        assert slide.properties["openslide.objective-power"] == "4"
        window = np.asarray(slide.read_region((4096, 2048), 0, (512, 512)).convert("RGB"))
        background = np.asarray(slide.read_region((6000, 6000), 0, (256, 256)).convert("RGB"))
        coarse = np.asarray(slide.read_region((0, 0), 2, slide.level_dimensions[2]).convert("RGB"))
    assert window.std() > 10
    assert background.std() < 8
    dark = np.argwhere(coarse.min(axis=-1) < background.mean() - 30)
    assert len(dark) > 20
    assert dark.min(axis=0).tolist() >= [127, 255]
    assert (dark.max(axis=0) <= [161, 289]).all()
    with pytest.raises(OutputError):
        write_sparse_phantom(path, 8_000, 2, [])
    with pytest.raises(OptionError):
        write_sparse_phantom(tmp_path / "other.tiff", 2_000, 2, [(1_900, 0, 512, 512)])
    assert [found.name for found in tmp_path.iterdir()] == ["huge.tiff"]


def test_one_specimen_may_fill_every_window_of_a_sparse_slide(tmp_path: Path) -> None:
    windows = [(256, 512, 256, 512), (1024, 256, 512, 256)]
    path = write_sparse_phantom(tmp_path / "repeated.tiff", 2_000, 2, windows, specimen_px=256)
    with openslide.OpenSlide(path) as slide:
        whole = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    first = whole[256:512, 512:768]
    assert first.std() > 10
    for row, col in ((256, 768), (1024, 256), (1280, 256)):
        np.testing.assert_array_equal(whole[row : row + 256, col : col + 256], first)
    assert whole[:256].std() < 8


def test_a_still_scan_needs_no_waves() -> None:
    row, col = ScanOffset((3.0, -2.0), ()).specimen_um(np.array([10.0]), np.array([20.0]))
    assert (row[0], col[0]) == (7.0, 22.0)
