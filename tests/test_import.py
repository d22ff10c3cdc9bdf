"""The walls around torch: a window opens without it, and the package's front door costs nothing."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import napari_pathsrgan
from napari_pathsrgan import plugin

PLUGIN_MODULES = sorted(
    module.name for module in pkgutil.walk_packages(plugin.__path__, "napari_pathsrgan.plugin.") if not module.ispkg
)


def loaded_by(*modules: str) -> set[str]:
    """Import modules in a fresh interpreter; tell which top-level packages that loaded."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.split())


def test_the_front_door_loads_nothing_heavy() -> None:
    assert loaded_by("napari_pathsrgan").isdisjoint({"cv2", "dask", "napari", "numpy", "qtpy", "torch", "zarr"})


def test_the_command_line_loads_neither_torch_nor_napari() -> None:
    assert loaded_by("napari_pathsrgan.commands").isdisjoint({"dask", "napari", "qtpy", "torch", "zarr"})


def test_the_reader_loads_neither_torch_nor_napari() -> None:
    assert loaded_by("napari_pathsrgan.plugin.reader").isdisjoint({"napari", "qtpy", "torch"})


def test_every_module_of_the_plugin_loads_without_torch() -> None:
    widgets = {
        f"napari_pathsrgan.plugin.{name}" for name in ("reader", "sample_data", "viewer.super_resolution_widget")
    }
    assert widgets <= set(PLUGIN_MODULES)
    assert "torch" not in loaded_by(*PLUGIN_MODULES)


@pytest.mark.parametrize("name", [name for name in napari_pathsrgan.__all__ if name != "__version__"])
def test_public_names_come_from_their_homes(name: str) -> None:
    home = importlib.import_module(f"napari_pathsrgan.{napari_pathsrgan._HOMES[name]}")
    assert getattr(napari_pathsrgan, name) is getattr(home, name)
    assert name in dir(napari_pathsrgan)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'upscale_everything'"):
        _ = napari_pathsrgan.upscale_everything
