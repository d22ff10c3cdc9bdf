"""What a finished job has made, opened in the window."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.plugin.layers.names import safe_name

if TYPE_CHECKING:
    import napari

    from napari_pathsrgan.jobs.listing import Job


def open_result(viewer: napari.Viewer, job: Job) -> None:
    """Open a job's result in the way that its command says.

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
            f"The result of “{job.record.title}” is not where it was written{f' ({out})' if out else ''}.",
            "Look for it where it was moved to, or run the job again.",
        )
    find_job_command(job.record.command).open_result(NapariWindow(viewer), out)


class NapariWindow:
    """What napari's window can do with a result, see `ResultWindow`.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer

    def open_slide(self, path: Path) -> None:
        """Show a slide as a layer."""
        from napari_pathsrgan.plugin.layers.scan_layer import slide_layer
        from napari_pathsrgan.slides.open_slide import open_slide

        data, parameters, _ = slide_layer(open_slide(path))
        parameters["name"] = f"{safe_name(path.name.split('.')[0])} · {parameters['name']}"
        self.viewer.add_image(data, **parameters)

    def open_pairs(self, path: Path) -> None:
        """Show a pairs file in the dock *Registration*."""
        from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget

        window = self.viewer.window
        for widget in window.dock_widgets.values():
            if isinstance(widget, RegistrationWidget):
                widget.open(path)
                return
        widget = RegistrationWidget(self.viewer, path)
        window.add_dock_widget(widget, name="Registration", area="right", tabify=True)

    def choose_model(self, path: Path) -> None:
        """Use a run folder's model in the dock *Super-resolution*."""
        from napari_pathsrgan.models.zoo import add_model
        from napari_pathsrgan.plugin.viewer.super_resolution_widget import SuperResolutionWidget

        name, window = add_model(path).stem, self.viewer.window
        for widget in window.dock_widgets.values():
            if isinstance(widget, SuperResolutionWidget):
                widget.choose_model(name)
                return
        widget = SuperResolutionWidget(self.viewer, model=name)
        window.add_dock_widget(widget, name="Super-resolution", area="right", tabify=True)

    def open_report(self, path: Path) -> None:
        """Open a file, or a folder's report, outside the window."""
        page = path / "report.html"
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(page if page.exists() else path)))
