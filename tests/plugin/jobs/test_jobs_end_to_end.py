"""Real jobs from the dock, in a real window: three scans become pairs, pairs a model, the model computed views."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox
from tests.plugin.conftest import Lease, add_dock

from napari_pathsrgan.commands.command import Command, JobForm
from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command, job_commands
from napari_pathsrgan.jobs.listing import Job
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.models.zoo import model_card
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.jobs.jobs_widget import JobsWidget
from napari_pathsrgan.plugin.registration.registration_widget import RegistrationWidget

PATIENCE_MS = 240_000
REGISTER, TRAIN, _, UPSCALE = [(command, form) for command in job_commands().values() for form in command.forms]
STEPS = 300
TINY = {
    "preset_options": "width=8 blocks1=1 features=8 blocks2=1",
    "epochs": "1 1 0",
    "epoch_steps": str(STEPS // 2),
    "alpha": "0",
    "beta": "0",
    "batch_size": "1",
    "patch_lr_px": "16",
    "accelerator": "cpu",
    "num_workers": "0",
}


class Dock:
    """The dock *Jobs* in a window, and what a user does with it."""

    def __init__(self, viewer: Any, qtbot: QtBot) -> None:
        self.qtbot, self.jobs = qtbot, JobsWidget(viewer)
        viewer.window.add_dock_widget(self.jobs, name="Jobs", area="right")

    def until(self, condition: Callable[[], Any]) -> None:
        self.qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE_MS)

    def press(self, button: Any) -> None:
        assert button.isVisibleTo(self.jobs)
        assert button.isEnabled()
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    def fill_in_and_start(self, form: tuple[Command[Any], JobForm], values: dict[str, str]) -> None:
        """Type into a form what it does not know yet, and start the job."""
        self.jobs.open_form(*form)
        shown = self.jobs.form
        assert shown is not None
        shown.options.more.expand(animate=False)
        for key, value in values.items():
            editor = shown.options.row(key).editor
            if isinstance(editor, QComboBox):
                editor.setCurrentText(value)
            else:
                editor.selectAll()
                self.qtbot.keyClicks(editor, value)
        assert shown.options.check(), shown.wrong.text()
        self.press(shown.start)

    def wait_for(self, state: State) -> Job:
        """Wait until the chosen job is in a state; nothing goes on once it has ended in another."""

        def there() -> bool:
            job = self.jobs.list.current
            return job is not None and (job.state is state or not job.state.active)

        self.until(there)
        job = self.jobs.list.current
        assert job is not None
        assert job.state is state, job.record.problem
        return job

    def curve(self, name: str) -> list[float]:
        """Steps that a curve has by now."""
        curves = self.jobs.details.curves.curves
        return list(curves[name].getData()[0]) if name in curves else []


def test_from_three_scans_to_a_model_that_shows_its_tiles(
    make_napari_viewer: Any,
    shared_process: list[Lease],
    jobs_home: Path,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # best for a network so small
    scans = write_phantom(tmp_path / "ward-3", 700.0, 3, background_share=0.2).scans
    viewer = make_napari_viewer(show=True)
    viewer.open([str(scans[power]) for power in (4, 10, 20)], plugin="napari-pathsrgan")
    dock = Dock(viewer, qtbot)

    dock.fill_in_and_start(REGISTER, {"split": "train", "stride_px": "256"})
    dock.wait_for(State.DONE)
    dock.press(dock.jobs.details.actions_["open"])
    (registration,) = (w for w in viewer.window.dock_widgets.values() if isinstance(w, RegistrationWidget))
    dock.until(lambda: len(registration.layers) == 4)

    pairs, report = str(tmp_path / "ward-3" / "ward-3-pairs.zarr"), tmp_path / "report"
    measuring = {"pairs": pairs, "split": "all", "max_patches": 2, "out": str(report)}
    job = queue_command(find_job_command("evaluate"), measuring)  # from a terminal
    dock.until(lambda: any(one.id == job.id for one in dock.jobs.list.jobs))
    dock.jobs.list.choose(job.id)
    dock.wait_for(State.DONE)
    assert (report / "report.html").is_file()
    dock.until(lambda: len(dock.jobs.details.images.shown) == 1)  # the contact sheet

    dock.fill_in_and_start(TRAIN, TINY)
    job = dock.wait_for(State.RUNNING)
    assert job.record.options["pairs"] == [pairs]
    dock.until(lambda: dock.curve("pixel_10x"))
    seen = len(dock.curve("pixel_10x"))
    dock.until(lambda: len(dock.curve("pixel_10x")) > seen)
    dock.press(dock.jobs.details.actions_["stop"])
    dock.wait_for(State.STOPPED)
    before = dock.curve("pixel_10x")
    assert before[-1] < STEPS
    viewer.close()

    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 500)
    window = add_dock(viewer, qtbot, "lite", None)
    window.open(scans[4])
    dock = Dock(viewer, qtbot)
    assert dock.wait_for(State.STOPPED).id == job.id
    dock.press(dock.jobs.details.actions_["resume"])
    dock.until(lambda: (job := dock.jobs.list.current) is not None and job.state is not State.STOPPED)
    job = dock.wait_for(State.DONE)
    dock.until(lambda: dock.curve("pixel_20x") and dock.curve("pixel_20x")[-1] == STEPS)
    whole = dock.curve("pixel_10x")
    assert whole[: len(before)] == before
    assert whole == sorted(set(whole))
    models = window.dock.form.models
    dock.until(lambda: models.findText("ward-3-model") >= 0)
    assert models.currentText() == "lite"
    dock.press(dock.jobs.details.actions_["open"])
    dock.until(lambda: models.currentText() == "ward-3-model")
    assert job.out is not None
    assert window.shown.super_resolved.runner.card.weights_hash == model_card(job.out).weights_hash

    window.look(350, 350, 0.3)
    window.wait_sharp()
    window.close_dock()


def test_a_finished_slide_opens_as_a_layer(shared_viewer: Any, jobs_home: Path, qtbot: QtBot, tmp_path: Path) -> None:
    scan = write_phantom(tmp_path / "case-17", 300.0, 3, (4,)).scans[4]
    shared_viewer.open(str(scan), plugin="napari-pathsrgan")
    dock = Dock(shared_viewer, qtbot)
    dock.fill_in_and_start(UPSCALE, {"region": "0,0,150,150", "device": "cpu"})
    job = dock.wait_for(State.DONE)
    assert job.out == tmp_path / "case-17" / "case-17-20x.ome.zarr"
    dock.press(dock.jobs.details.actions_["open"])
    slide, computed = shared_viewer.layers
    assert computed.name == "case-17-20x · 20× computed by lite, in part · 293 nm per px"
    assert abs(computed.extent.world[0] - slide.extent.world[0]).max() < 1.465
    shared_viewer.window.remove_dock_widget(dock.jobs)
    shared_viewer.layers.clear()
