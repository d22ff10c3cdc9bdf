"""What a finished job has made, opened in the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.plugin.layers.names import safe_name

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.jobs.listing import Job


def open_result(viewer: napari.Viewer, job: Job) -> None:
    """Open a job's result: pairs in the dock *Registration*, a model in *Super-resolution*, a slide as a layer.

    Parameters
    ----------
    viewer : napari.Viewer
    job : Job
        Which is done.

    Raises
    ------
    PathSRGANError
        If the result is gone or can't be used.
    """
    out = job.out
    if out is None or not out.exists():
        raise OutputError(
            f"The result of “{job.record.spec.title}” is not where it was written{f' ({out})' if out else ''}.",
            "Look for it where it was moved to, or run the job again.",
        )
    openers = {"register": _open_pairs, "train": _choose_model, "upscale": _open_slide}
    openers.get(job.record.spec.verb, _open_outside)(viewer, out)


def _open_pairs(viewer: napari.Viewer, out: Path) -> None:
    from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget

    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, RegistrationWidget):
            widget.open(out)
            return
    viewer.window.add_dock_widget(RegistrationWidget(viewer, out), name="Registration", area="right", tabify=True)


def _choose_model(viewer: napari.Viewer, out: Path) -> None:
    from napari_pathsrgan.models.zoo import add_model
    from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget

    name = add_model(out).stem
    for widget in viewer.window.dock_widgets.values():
        if isinstance(widget, SuperResolutionWidget):
            widget.choose_model(name)
            return
    viewer.window.add_dock_widget(
        SuperResolutionWidget(viewer, model=name), name="Super-resolution", area="right", tabify=True
    )


def _open_slide(viewer: napari.Viewer, out: Path) -> None:
    from napari_pathsrgan.plugin.layers.scan_layer import slide_layer
    from napari_pathsrgan.slides.open_slide import open_slide

    data, parameters, _ = slide_layer(open_slide(out))
    parameters["name"] = f"{safe_name(out.name.split('.')[0])} · {parameters['name']}"
    viewer.add_image(data, **parameters)


def _open_outside(_viewer: napari.Viewer, out: Path) -> None:
    page = out / "report.html"
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(page if page.exists() else out)))
