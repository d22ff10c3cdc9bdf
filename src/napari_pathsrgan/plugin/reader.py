"""npe2 reader: a slide as one pyramid layer in µm, a pairs file as the registration it came from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_pathsrgan.plugin.layers.scan_layer import LayerTuple, slide_layer


def get_reader(path: str | list[str]) -> Callable[[str | list[str]], list[LayerTuple]] | None:
    """Return our reader for slides or a pairs file, fast; None for what is neither.

    Parameters
    ----------
    path : str or list of str
        What the user dropped; of a list, each file becomes a layer.
    """
    from napari_pathsrgan.registration.pairs import is_pairs_file
    from napari_pathsrgan.slides.open_slide import slide_kind

    paths = [path] if isinstance(path, str) else path
    if len(paths) == 1 and is_pairs_file(paths[0]):
        return read_pairs
    return read_slides if paths and all(slide_kind(one) for one in paths) else None


def read_slides(path: str | list[str]) -> list[LayerTuple]:
    """Open slides as layers, of a folder of DICOM files each of its slides.

    Raises
    ------
    PathSRGANError
        With what is wrong and what to do; napari shows it as a notification.
    """
    from napari_pathsrgan.plugin.viewer.pixel_size_dialog import open_asking
    from napari_pathsrgan.slides.open_slide import slides_in

    paths = [slide for one in ([path] if isinstance(path, str) else path) for slide in slides_in(Path(one))]
    return [slide_layer(open_asking(slide)) for slide in paths]


def read_pairs(path: str | list[str]) -> list[LayerTuple]:
    """Open the registration of a pairs file's first slide as layers; the dock *Registration* shows the others.

    Raises
    ------
    PathSRGANError
        With what is wrong and what to do; napari shows it as a notification.
    """
    from napari.utils.notifications import show_info

    from napari_pathsrgan.plugin.registration.registration_view import read_registration
    from napari_pathsrgan.registration.pairs import PairsFile

    pairs = PairsFile(path if isinstance(path, str) else path[0])
    if len(pairs.slides) > 1:
        show_info(f"{pairs.slides[0]['name']}, of {len(pairs.slides)} slides. Plugins ▸ Registration shows the others.")
    return read_registration(pairs, 0).layers
