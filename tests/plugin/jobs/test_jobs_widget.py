"""The dock *Jobs* in a real window, with jobs that count."""

from __future__ import annotations

import itertools
import math
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from napari.settings import get_settings
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QLineEdit, QMessageBox, QScrollArea, QWidget
from tests.conftest import delete_in_use

from napari_pathsrgan.commands.verb_options import understand
from napari_pathsrgan.jobs.listing import Job, look_at
from napari_pathsrgan.jobs.orders import queue_job
from napari_pathsrgan.jobs.spec import State
from napari_pathsrgan.plugin.jobs.job_forms import PLANS, JobPlan
from napari_pathsrgan.plugin.jobs.job_list import MARKS
from napari_pathsrgan.plugin.jobs.jobs_widget import JobsWidget
from napari_pathsrgan.plugin.jobs.training_curves import loss_ticks

REGISTER, TRAIN, FINE_TUNE, UPSCALE = PLANS
PATIENCE_MS = 30_000
SEEN_MS = 2000
"""Within so long the right state is to be shown."""

MARGIN = 8


@pytest.fixture
def add(shared_viewer: Any, qtbot: QtBot, quick_jobs: Path) -> Iterator[Callable[[], JobsWidget]]:
    """Put the dock into the module's window."""
    made: list[JobsWidget] = []

    def add() -> JobsWidget:
        dock = JobsWidget(shared_viewer)
        shared_viewer.window.add_dock_widget(dock, name=f"Jobs {len(made)}", area="right")
        made.append(dock)
        return dock

    yield add
    for dock in made:
        if not dock._ended:
            shared_viewer.window.remove_dock_widget(dock)
    shared_viewer.layers.clear()


@pytest.fixture
def dock(add: Callable[[], JobsWidget]) -> JobsWidget:
    return add()


def shows(dock: JobsWidget, qtbot: QtBot, state: State, patience_ms: int = PATIENCE_MS) -> Job:
    """Wait until the job looked at is shown in a state."""

    def shown() -> bool:
        current = dock.list.current
        return current is not None and current.state is state and state in dock.details.state.text()

    qtbot.waitUntil(shown, timeout=patience_ms)
    current = dock.list.current
    assert current is not None
    return current


# ---------------------------------------------------------------------- how jobs go


def test_a_job_is_followed_stopped_and_resumed(dock: JobsWidget, qtbot: QtBot, count: Callable[..., Job]) -> None:
    qtbot.waitUntil(dock.empty.isVisible, timeout=PATIENCE_MS)
    assert "No jobs yet" in dock.empty.text()
    job = count(200)
    shows(dock, qtbot, State.RUNNING)
    assert not dock.empty.isVisible()
    curves = dock.details.curves
    qtbot.waitUntil(lambda: set(curves.curves) == {"pixel", "adversarial", "psnr_20x"}, timeout=PATIENCE_MS)
    first = len(curves.curves["pixel"].getData()[0])
    qtbot.waitUntil(lambda: len(curves.curves["pixel"].getData()[0]) > first, timeout=PATIENCE_MS)
    assert list(curves.plots) == ["Losses", "Against the discriminators", "Quality on patches left out"]
    assert "PSNR 20×" in curves.legends["Quality on patches left out"].text()
    qtbot.waitUntil(lambda: len(dock.details.pictures.shown) == 3, timeout=PATIENCE_MS)
    assert "begins at 0" in dock.details.log.toPlainText()
    assert "pathsrgan phantom count 200" in dock.details.settings.toPlainText()
    buttons = dock.details.actions_
    assert [name for name, button in buttons.items() if button.isVisibleTo(dock)] == ["stop", "copy"]
    buttons["stop"].click()
    stopped = shows(dock, qtbot, State.STOPPED)
    assert stopped.id == job.id
    assert [name for name, button in buttons.items() if button.isVisibleTo(dock)] == ["resume", "remove", "copy"]
    buttons["resume"].click()
    shows(dock, qtbot, State.RUNNING)
    done = shows(dock, qtbot, State.DONE)
    assert (done.folder / "result" / "checkpoint").read_text() == "200"
    buttons["copy"].click()
    assert QGuiApplication.clipboard().text().startswith("pathsrgan phantom count 200")


def test_closing_the_dock_changes_nothing_and_reopening_finds_it(
    add: Callable[[], JobsWidget], shared_viewer: Any, qtbot: QtBot, count: Callable[..., Job]
) -> None:
    first = add()
    job = count(150)
    shows(first, qtbot, State.RUNNING)
    shared_viewer.window.remove_dock_widget(first)
    assert look_at(job.folder).state is State.RUNNING
    second = add()
    assert shows(second, qtbot, State.RUNNING).id == job.id
    shows(second, qtbot, State.DONE)


def test_two_windows_watch_one_job(add: Callable[[], JobsWidget], qtbot: QtBot, count: Callable[..., Job]) -> None:
    docks = [add(), add()]
    count(100_000)
    for dock in docks:
        shows(dock, qtbot, State.RUNNING)
    docks[0].details.actions_["stop"].click()
    for dock in docks:
        shows(dock, qtbot, State.STOPPED)
    docks[1].details.actions_["resume"].click()
    docks[0].details.actions_["resume"].click()  # it does not know yet
    for dock in docks:
        shows(dock, qtbot, State.RUNNING)
    docks[0].details.actions_["stop"].click()
    shows(docks[0], qtbot, State.STOPPED)


def test_a_killed_job_is_shown_within_two_seconds(dock: JobsWidget, qtbot: QtBot, count: Callable[..., Job]) -> None:
    job = count(100_000)
    shows(dock, qtbot, State.RUNNING)
    (worker,) = psutil.Process(job.record.process.pid).children()
    worker.kill()
    shows(dock, qtbot, State.INTERRUPTED, SEEN_MS)
    assert "memory runs out" in dock.details.state.text()
    assert dock.details.actions_["log"].isVisibleTo(dock)
    dock.details.actions_["resume"].click()
    shows(dock, qtbot, State.RUNNING)


def test_a_failed_job_shows_its_sentence_and_its_log(dock: JobsWidget, qtbot: QtBot) -> None:
    queue_job(["phantom", "fail"])
    shows(dock, qtbot, State.FAILED)
    assert "The scans show different slides." in dock.details.state.text()
    dock.details.actions_["log"].click()
    assert dock.details.pages.currentWidget() is dock.details.log


def test_a_folder_deleted_under_it_drops_it(dock: JobsWidget, qtbot: QtBot, count: Callable[..., Job]) -> None:
    job = count(100_000)
    shows(dock, qtbot, State.RUNNING)
    qtbot.waitUntil(lambda: bool(dock.details.curves.curves), timeout=PATIENCE_MS)
    delete_in_use(job.folder)
    qtbot.waitUntil(lambda: dock.list.jobs == [] and dock.empty.isVisible(), timeout=PATIENCE_MS)
    assert not dock.details.isVisible()


def test_removing_asks_where_a_result_goes_with_it(
    dock: JobsWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, count: Callable[..., Job]
) -> None:
    job = count(3)
    shows(dock, qtbot, State.DONE)
    asked: list[str] = []

    def answer(_parent: QWidget, _title: str, question: str, *_buttons: object) -> Any:
        asked.append(question)
        return QMessageBox.StandardButton.No if len(asked) == 1 else QMessageBox.StandardButton.Yes

    monkeypatch.setattr(QMessageBox, "question", answer)
    dock.details.actions_["remove"].click()
    assert job.folder.exists()
    dock.details.actions_["remove"].click()
    assert not job.folder.exists()
    assert len(asked) == 2
    qtbot.waitUntil(lambda: dock.list.jobs == [], timeout=PATIENCE_MS)


def test_its_end_is_told(
    dock: JobsWidget, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, count: Callable[..., Job]
) -> None:
    told: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_info", told.append)
    monkeypatch.setattr("napari.utils.notifications.show_warning", told.append)
    count(30)
    shows(dock, qtbot, State.RUNNING)
    queue_job(["phantom", "fail"], title="Register case-09")
    qtbot.waitUntil(lambda: len(told) == 2, timeout=PATIENCE_MS)
    assert told == ["Count to 30: done.", "Register case-09 failed. The scans show different slides. Check the names."]


def test_two_hundred_finished_jobs_open_at_once(
    add: Callable[[], JobsWidget], quick_jobs: Path, qtbot: QtBot, count: Callable[..., Job]
) -> None:
    job = count(3)
    end = time.monotonic() + 30
    while look_at(job.folder).state is not State.DONE:
        assert time.monotonic() < end
        time.sleep(0.02)
    for number in range(2, 201):
        shutil.copytree(job.folder, quick_jobs / f"{number:04d}-phantom")
    took = []
    for _ in range(8):  # of this process alone, in all its threads: others share the machine
        began = time.process_time()
        dock = add()
        qtbot.waitUntil(lambda dock=dock: len(dock.list.jobs) == 200, timeout=PATIENCE_MS)
        took.append(time.process_time() - began)
    assert min(took) < 0.3
    assert dock.list.current is not None
    assert dock.list.current.number == 200


# ---------------------------------------------------------------------- looks


def widest(widget: QWidget) -> int:
    """The width a widget can't do without, nor what it scrolls."""
    areas = [area for area in widget.findChildren(QScrollArea) if area.widget() is not None]
    scrolled = [area.widget().minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width() for area in areas]
    needed = [widget.minimumSizeHint().width(), *(width + 2 * MARGIN for width in scrolled)]
    return max(needed)


@pytest.mark.parametrize(("theme", "font_share"), [("dark", 1), ("light", 1), ("dark", 2)])
def test_it_fits_a_narrow_dock_in_large_letters(
    dock: JobsWidget, qtbot: QtBot, shared_viewer: Any, theme: str, font_share: int
) -> None:
    usual, appearance = get_settings().appearance.font_size, get_settings().appearance
    before = shared_viewer.theme
    try:
        shared_viewer.theme = theme
        appearance.font_size = usual * font_share
        queue_job(["phantom", "fail"], title="Register a slide with a name that is longer than the dock is wide")
        shows(dock, qtbot, State.FAILED)
        assert widest(dock) <= 320
        for plan in (REGISTER, TRAIN, UPSCALE):
            dock.open_form(plan)
            assert dock.form is not None
            dock.form.more.expand(animate=False)
            qtbot.wait(50)
            assert widest(dock.form) <= 320, plan.name
            for row in dock.form.rows:
                if isinstance(row.editor, QLineEdit):
                    assert row.editor.font().pointSize() == appearance.font_size
                    assert row.editor.height() >= row.editor.fontMetrics().height()
            dock.close_form()
        assert dock.details.log.font().pointSize() == appearance.font_size
    finally:
        appearance.font_size = usual
        shared_viewer.theme = before


def test_buttons_that_are_not_offered_leave_no_gap(dock: JobsWidget, qtbot: QtBot) -> None:
    queue_job(["phantom", "fail"], title="Phantom 3")
    shows(dock, qtbot, State.FAILED)
    qtbot.wait(50)
    offered = [button for button in dock.details.actions_.values() if button.isVisible()]
    first = [button for button in offered if button.y() == offered[0].y()]
    assert first[0].x() == 0
    for left, right in itertools.pairwise(first):
        assert right.x() == left.x() + left.width() + 6


@pytest.mark.parametrize(("lowest", "highest"), [(-2.6, -1.4), (-9.0, 0.0), (-2.2, -2.1), (-3.0, -1.1)])
def test_values_beside_the_losses_are_few_and_apart(lowest: float, highest: float) -> None:
    values = loss_ticks(lowest, highest)
    places = [math.log10(value) for value in values]
    assert 1 <= len(values) <= 8
    assert all(lowest <= place <= highest for place in places)
    assert all(right - left >= (highest - lowest) / 25 for left, right in itertools.pairwise(places))


def test_states_differ_by_icon_and_word() -> None:
    assert set(MARKS) == set(State)
    assert len({icon for icon, _ in MARKS.values()}) == len(State)


# ---------------------------------------------------------------------- forms


@pytest.fixture
def opened(shared_viewer: Any, slide_path: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "ward"
    folder.mkdir()
    path = Path(shutil.copy(slide_path, folder / "case-17_4x.tiff"))
    shared_viewer.open(str(path), plugin="napari-pathsrgan")
    return path


def test_a_form_is_filled_from_the_open_layers(dock: JobsWidget, opened: Path) -> None:
    dock.open_form(UPSCALE)
    form = dock.form
    assert form is not None
    assert form.row("slide").value == str(opened)
    assert form.row("out").value == str(opened.with_name("case-17-20x.ome.zarr"))
    assert form.start.isEnabled()
    assert form.words()[:3] == ["upscale", str(opened), form.row("out").value]
    (action,) = (action for action in dock.new.menu().actions() if action.text() == "Register slides …")
    action.trigger()
    form = dock.form
    assert form is not None
    assert form.row("scans", 0).value == str(opened)
    assert form.row("scans", 1).value == ""
    assert form.row("out").value == str(opened.with_name("case-17-pairs.zarr"))
    assert not form.start.isEnabled()
    assert "10× scan" in form.wrong.text()


def test_fields_are_checked_as_they_are_typed(dock: JobsWidget, qtbot: QtBot, opened: Path) -> None:
    dock.open_form(UPSCALE)
    form = dock.form
    assert form is not None
    form.more.expand(animate=False)

    def wrong(key: str, value: str) -> str:
        row = form.row(key)
        before = row.value
        row.set_value(value)
        form.check()
        said = row.wrong.text() if row.wrong.isVisibleTo(form) else ""
        assert form.start.isEnabled() == (not said)
        row.set_value(before)
        form.check()
        assert form.start.isEnabled()
        return said

    assert "no such file" in wrong("slide", "/nowhere/slide.svs")
    assert "does not exist" in wrong("out", "/nowhere/out.ome.zarr")
    assert "no number" in wrong("mpp", "wide")
    assert wrong("mpp", "1.4") == ""
    assert "four numbers" in form_wrong_after(form, "region", "1,2")
    form.row("region").set_value("0,0,100,100")
    assert form.check()
    assert form.words()[-2:] == ["--region", "0,0,100,100"]
    form.row("region").set_value("")
    form.row("out").set_value("")
    assert form.check()
    assert form.words()[2] == "{result}/slide-20x.ome.zarr"
    form.copy.click()
    assert QGuiApplication.clipboard().text() == f"pathsrgan upscale {opened} slide-20x.ome.zarr"
    assert "no slide" in wrong("slide", __file__)
    assert "no model “lit”" in wrong("model", "lit")


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_the_command_copied_can_be_run(
    dock: JobsWidget, opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: JobPlan
) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.jobs.form_rows._is_pairs", Path.is_dir)
    monkeypatch.setenv("HOME", str(tmp_path))
    dock.open_form(plan)
    form = dock.form
    assert form is not None
    QGuiApplication.clipboard().setText("")
    if plan.verb == "train":
        form.row("pairs").set_value("ward-4")
        assert not form.check()
        assert not form.copy.isEnabled()
        (tmp_path / "ward 4").mkdir()
        form.row("pairs").set_value("~/ward 4")  # no shell reads that for a job
        form.row("preset_options").set_value("width")
        assert not form.check()
        assert "width=32" in form.row("preset_options").wrong.text()
        form.row("preset_options").set_value("width=16, blocks1=2")
    elif plan.verb == "register":
        for place in (1, 2):
            form.row("scans", place).set_value(str(opened))
    assert form.check()
    form.copy.click()
    program, *words = shlex.split(QGuiApplication.clipboard().text())
    assert program == "pathsrgan"
    told = understand(words)
    if plan.verb == "train":
        assert told["pairs"] == [str(tmp_path / "ward 4")]
        assert told["preset_options"] == {"width": 16, "blocks1": 2}
        assert told["init_from"] == plan.preset.get("init_from")


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_no_default_is_refused(dock: JobsWidget, plan: JobPlan) -> None:
    dock.open_form(plan)
    assert dock.form is not None
    refused = {row.key: row.check() for row in dock.form.rows if row.value and row.check()}
    assert refused == {}


def test_several_words_are_checked_one_by_one(dock: JobsWidget) -> None:
    dock.open_form(TRAIN)
    assert dock.form is not None
    row = dock.form.row("perceptual_cuts")
    row.set_value("relu3_3, relu5_3")
    assert row.check() == ""
    assert row.words() == ["--perceptual-cuts", "relu3_3", "relu5_3"]
    row.set_value("relu3_3 relu9_9")
    assert row.check().startswith("“relu9_9” is none of relu1_2")


def form_wrong_after(form: Any, key: str, value: str) -> str:
    form.row(key).set_value(value)
    assert not form.check()
    return form.row(key).wrong.text() + form.wrong.text()


def test_bounds_come_from_the_config(dock: JobsWidget, opened: Path) -> None:
    dock.open_form(REGISTER)
    form = dock.form
    assert form is not None
    for place in (1, 2):
        form.row("scans", place).set_value(str(opened))
    assert form.check()
    row = form.row("stride_px")
    for value, said in (("12", "At least 32"), ("1.5", "whole number"), ("", "")):
        row.set_value(value)
        assert form.check() == (not said)
        assert said in row.wrong.text()
    assert "Distance of neighbouring patches" in row.help.text()
    assert "--stride-px" in row.editor.toolTip()
    row.set_value("300")
    assert form.words()[-2:] == ["--stride-px", "300"]


def test_a_form_starts_a_job(dock: JobsWidget, qtbot: QtBot, opened: Path) -> None:
    dock.open_form(UPSCALE)
    form = dock.form
    assert form is not None
    form.start.click()
    assert dock.form is None
    job = shows(dock, qtbot, State.FAILED)  # the counting worker knows no such verb
    assert job.record.spec.config["slide"] == str(opened)
    assert job.record.spec.title == "Upscale case-17_4x"
    dock.open_form(UPSCALE)
    assert dock.form is not None
    dock.form.cancel.click()
    assert dock.form is None


def test_a_job_just_started_stays_the_one_looked_at(
    dock: JobsWidget, qtbot: QtBot, opened: Path, count: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that began before it was queued does not know it."""
    count(3)
    shows(dock, qtbot, State.DONE)
    began, go_on, read = threading.Event(), threading.Event(), dock.watch._jobs.read

    def read_slowly() -> list[Job]:
        jobs = read()
        began.set()
        go_on.wait(PATIENCE_MS / 1000)
        return jobs

    monkeypatch.setattr(dock.watch._jobs, "read", read_slowly)
    dock.watch.look()
    qtbot.waitUntil(began.is_set, timeout=PATIENCE_MS)
    chosen: list[str] = []
    dock.list.chosen.connect(chosen.append)
    dock.open_form(UPSCALE)
    assert dock.form is not None
    dock.form.start.click()
    go_on.set()
    shows(dock, qtbot, State.FAILED)
    assert chosen == ["0002-upscale"]


def test_a_lost_result_is_told(dock: JobsWidget, qtbot: QtBot, tmp_path: Path, count: Callable[..., Job]) -> None:
    count(3, str(tmp_path / "run"))
    shows(dock, qtbot, State.DONE)
    shutil.rmtree(tmp_path / "run")
    dock.details.actions_["open"].click()
    assert "is not where it was written" in dock.messages.text
