"""Sample data: a synthetic slide whose truth is known."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.plugin.layers.scan_layer import LayerTuple, slide_layer

SAMPLE_SIZE_UM = 1500.0
SAMPLE_SEED = 7
SAMPLE_NAME = "Cytology phantom"


def phantom_path(size_um: float = SAMPLE_SIZE_UM, seed: int = SAMPLE_SEED, folder: Path | None = None) -> Path:
    """Make the 4× scan of a phantom unless it is there already.

    Parameters
    ----------
    size_um : float
        Side, µm.
    seed : int
    folder : Path, optional
        Folder of the phantoms; the user's cache otherwise.

    Returns
    -------
    Path
        A pyramidal TIFF.

    Raises
    ------
    OutputError
        If it can't be written.
    """
    from napari_pathsrgan.phantom.scanner import write_phantom

    stored = folder or platformdirs.user_cache_path("napari-pathsrgan") / "phantoms"
    place = stored / f"cytology-phantom-{size_um:.0f}um-seed{seed}"
    scan = place / "4x.tiff"
    if not scan.exists():
        try:
            stored.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{stored} can't be made: {error.strerror}.", "Free some space, or check the rights."
            ) from error
        write_phantom(place, size_um, seed, magnifications=(4,))
    return scan


def cytology_phantom() -> list[LayerTuple]:
    """Provide *Open Sample ▸ Cytology phantom*: 1.5 × 1.5 mm, made in seconds on first use and stored."""
    from napari_pathsrgan.slides.open_slide import open_slide

    return [slide_layer(open_slide(phantom_path()), SAMPLE_NAME)]
