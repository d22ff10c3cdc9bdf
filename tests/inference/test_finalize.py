"""Outputs made of a finished store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import zarr
from ome_zarr_models.v05 import Image

from napari_pathsrgan.errors import OptionError, OutputError, StoreMismatchError
from napari_pathsrgan.inference import finalize as finalizing
from napari_pathsrgan.inference.finalize import OutputKind, bare_name, finalize, output_kind, tiles_folder
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.inference.tile_writer import WriteSummary
from napari_pathsrgan.inference.whole_slide import write_whole_slide
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .networks import tiny_engine
from .specimens import specimen, write_slide


@pytest.fixture(scope="module")
def super_resolved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SuperResolvedSlide]:
    path = write_slide(tmp_path_factory.mktemp("slide") / "slide.tiff", specimen(250, 330))
    with open_slide(path) as slide:
        yield super_resolve(slide, tiny_engine())


def write_finished(super_resolved: SuperResolvedSlide, path: Path, **options: Any) -> WriteSummary:
    tiles = tiles_folder(path)
    done = write_whole_slide(super_resolved, tiles)
    finalize(tiles, path, **options)
    return done


@pytest.mark.parametrize(
    "name", ["case.ome.zarr", "case.zarr", "case.ome.tiff", "case.OME.TIF", "case.tif", "case.svs"]
)
def test_a_suffix_names_the_kind_of_output(name: str) -> None:
    assert bare_name(Path(name)) == "case"


@pytest.mark.parametrize("name", ["case.png", "case.jpg", "case", "case.ome", "case.ndpi", "ome.zarr.zip"])
def test_other_suffixes_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match=r"\.ome\.zarr, \.ome\.tiff or \.svs"):
        output_kind(Path(name))


def test_a_tiff_holds_the_exact_pixels(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path, told = tmp_path / "case.svs", []
    write_finished(super_resolved, path, compression="lossless", progress=lambda *step: told.append(step))
    assert [file.name for file in tmp_path.iterdir()] == ["case.svs"]
    assert told[-1][0] == told[-1][1] > 0
    with openslide.OpenSlide(path) as slide:
        assert slide.level_count == super_resolved.grid.n_levels
        for level, exact in enumerate(super_resolved.levels):
            found = np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]))[..., :3]
            np.testing.assert_array_equal(found, exact.compute())
    with pytest.raises(OutputError, match="exists already"):
        write_finished(super_resolved, path)


def test_a_run_that_stopped_goes_on_beside_the_output(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "case.ome.tiff"

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finalizing, "OUTPUT_KINDS", (OutputKind((".ome.tiff",), stop),))
    with pytest.raises(KeyboardInterrupt):
        write_finished(super_resolved, path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["case.ome.tiff.tiles"]
    assert write_finished(super_resolved, path).written == 0
    assert [file.name for file in tmp_path.iterdir()] == ["case.ome.tiff"]


def test_a_finished_ome_zarr_is_packed_into_shards(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "case.ome.zarr"
    write_whole_slide(super_resolved, path)
    before = sum(file.is_file() for file in path.rglob("*"))
    assert write_finished(super_resolved, path).written == 0, "the tiles that were there are taken over"
    assert [file.name for file in tmp_path.iterdir()] == ["case.ome.zarr"]
    assert sum(file.is_file() for file in path.rglob("*")) < before
    group = zarr.open_group(path, mode="r")
    assert Image.from_zarr(group).ome_attributes.multiscales[0].datasets[0].path == "0"
    for level, exact in enumerate(super_resolved.levels):
        np.testing.assert_array_equal(np.moveaxis(np.asarray(group[str(level)]), 0, -1), exact.compute())
    with open_slide(path) as slide:
        assert slide.mpp == pytest.approx(0.293)
    with pytest.raises(StoreMismatchError, match="finished and packed"):
        PyramidStore.open(path)
    with pytest.raises(StoreMismatchError, match="finished and packed"):
        write_whole_slide(super_resolved, path)


@pytest.mark.parametrize("name", ["case.ome.zarr", "case.ome.tiff"])
def test_a_tile_that_vanishes_while_it_is_packed_is_an_error(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tiles = tiles_folder(tmp_path / name)
    write_whole_slide(super_resolved, tiles)
    expect = PyramidStore.expect_tiles

    def then_lose_one(store: PyramidStore) -> None:
        expect(store)
        (tiles / "0" / "c" / "0" / "1" / "1").unlink()

    monkeypatch.setattr(PyramidStore, "expect_tiles", then_lose_one)
    with pytest.raises(OutputError, match="removed or damaged"):
        finalize(tiles, tmp_path / name)
    assert [file.name for file in tmp_path.iterdir()] == [tiles.name]


def test_shards_whose_folder_is_moved_away_are_an_error(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    tiles = tiles_folder(tmp_path / "case.ome.zarr")
    write_whole_slide(super_resolved, tiles)
    out = tmp_path / "out"

    def move(done: int, total: int) -> None:
        if out.exists():
            out.rename(tmp_path / "elsewhere")

    with pytest.raises(OutputError, match="moved away"):
        finalize(tiles, out / "case.ome.zarr", progress=move)
    assert not (out / "case.ome.zarr").exists()
    assert tiles.exists()


@pytest.mark.parametrize("name", ["case.ome.zarr", "case.ome.tiff"])
def test_tiles_beside_a_finished_output_are_named_and_kept(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    tiles = tiles_folder(tmp_path / name)
    write_whole_slide(super_resolved, tiles, region=(0, 0, 30, 30))
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        finalize(tiles, tmp_path / name)
    with pytest.raises(OutputError, match=rf"beside tiles of an earlier run in {name}.tiles. Remove the tiles if"):
        tiles_folder(tmp_path / name)
    assert tiles.exists()
