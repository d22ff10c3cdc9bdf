"""A super-resolved slide as OME-Zarr."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_pathsrgan.errors import OptionError, OutputError, StoreMismatchError
from napari_pathsrgan.inference.export import export
from napari_pathsrgan.inference.super_resolved import SuperResolvedSlide, super_resolve
from napari_pathsrgan.slides.open_slide import open_slide
from napari_pathsrgan.slides.pyramid_store import PyramidStore

from .networks import engine, tiny_engine
from .specimens import specimen, write_slide


@pytest.fixture
def super_resolved(tmp_path: Path) -> Iterator[SuperResolvedSlide]:
    with open_slide(write_slide(tmp_path / "slide.tiff", specimen(250, 330))) as slide:
        yield super_resolve(slide, tiny_engine())


def test_every_level_holds_the_exact_pixels(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    export(super_resolved, tmp_path / "out.ome.zarr", progress=lambda done, total: seen.append((done, total)))
    store = PyramidStore.open(tmp_path / "out.ome.zarr")
    for level, dask_level in enumerate(super_resolved.levels):
        written = np.moveaxis(np.asarray(store.array(level)[:]), 0, -1)
        np.testing.assert_array_equal(written, dask_level.compute(), err_msg=f"level {level}")
    done, total = seen[-1]
    assert done == total == sum(len(list(store.tiles(level))) for level in range(super_resolved.grid.n_levels))
    assert [count for count, _ in seen] == sorted(count for count, _ in seen)


def test_a_region_is_written_alone_and_filled_further_later(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    path = tmp_path / "out.ome.zarr"
    export(super_resolved, path, region_um=(0, 0, 100, 100))
    store = PyramidStore.open(path)
    assert list(store.tiles(0)) == [(0, 0)]
    first = (path / "0" / "c" / "0" / "0" / "0").stat().st_mtime_ns
    export(super_resolved, path)
    assert len(list(PyramidStore.open(path).tiles(0))) == 3 * 4
    assert (path / "0" / "c" / "0" / "0" / "0").stat().st_mtime_ns == first, "a tile that was there was written again"


def test_an_export_that_was_stopped_ends_as_an_unbroken_one(
    super_resolved: SuperResolvedSlide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(super_resolved, tmp_path / "unbroken.ome.zarr")
    broken, write, written = tmp_path / "broken.ome.zarr", PyramidStore.write, 0

    def stop_after_nine(store: PyramidStore, *arguments: object) -> None:
        nonlocal written
        written += 1
        if written > 9:
            raise OutputError("The disk is full.", "Free some space.")
        write(store, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PyramidStore, "write", stop_after_nine)
    with pytest.raises(OutputError, match="full"):
        export(super_resolved, broken)
    monkeypatch.undo()
    export(super_resolved, broken)
    for level in range(super_resolved.grid.n_levels):
        one, other = (
            PyramidStore.open(tmp_path / f"{name}.ome.zarr").array(level)[:] for name in ("broken", "unbroken")
        )
        np.testing.assert_array_equal(one, other)


def test_refuses_a_store_of_another_model_and_a_foreign_folder(
    super_resolved: SuperResolvedSlide, tmp_path: Path
) -> None:
    path = tmp_path / "out.ome.zarr"
    export(super_resolved, path, region_um=(0, 0, 100, 100))
    other = super_resolve(super_resolved.slide, engine("lite", seed=1, width=8, blocks1=1, features=8, blocks2=1))
    with pytest.raises(StoreMismatchError, match="another model"):
        export(other, path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(OutputError):
        export(super_resolved, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_refuses_a_region_outside_the_slide(super_resolved: SuperResolvedSlide, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="outside the slide"):
        export(super_resolved, tmp_path / "out.ome.zarr", region_um=(10_000, 0, 100, 100))
    assert not (tmp_path / "out.ome.zarr").exists()
