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
from tests.jobs.worker import queue_count

from napari_pathsrgan.commands.app import parse
from napari_pathsrgan.commands.command import Command, JobForm
from napari_pathsrgan.commands.option_text import validated
from napari_pathsrgan.commands.registry import find_job_command, job_commands
from napari_pathsrgan.jobs.listing import Job, read_job
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.plugin.jobs.job_list import MARKS
from napari_pathsrgan.plugin.jobs.jobs_widget import JobsWidget
from napari_pathsrgan.plugin.jobs.training_curves import loss_ticks

FORMS = [(command, form) for command in job_commands().values() for form in command.forms]
REGISTER, TRAIN, FINE_TUNE, UPSCALE = FORMS
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
    """Wait until the chosen job is shown in a state."""

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
    qtbot.waitUntil(lambda: len(dock.details.images.shown) == 3, timeout=PATIENCE_MS)
    assert "begins at 0" in dock.details.log.toPlainText()
    assert "pathsrgan count 200" in dock.details.settings.toPlainText()
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
    assert QGuiApplication.clipboard().text().startswith("pathsrgan count 200")


def test_closing_the_dock_changes_nothing_and_reopening_finds_it(
    add: Callable[[], JobsWidget], shared_viewer: Any, qtbot: QtBot, count: Callable[..., Job]
) -> None:
    first = add()
    job = count(150)
    shows(first, qtbot, State.RUNNING)
    shared_viewer.window.remove_dock_widget(first)
    assert read_job(job.folder).state is State.RUNNING
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
    queue_count(ending="fail")
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
    shown: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_info", shown.append)
    monkeypatch.setattr("napari.utils.notifications.show_warning", shown.append)
    count(30)
    shows(dock, qtbot, State.RUNNING)
    queue_count(ending="fail", title="Register case-09")
    qtbot.waitUntil(lambda: len(shown) == 2, timeout=PATIENCE_MS)
    assert shown == ["Count to 30: done.", "Register case-09 failed. The scans show different slides. Check the names."]


def test_two_hundred_finished_jobs_open_at_once(
    add: Callable[[], JobsWidget], quick_jobs: Path, qtbot: QtBot, count: Callable[..., Job]
) -> None:
    job = count(3)
    end = time.monotonic() + 30
    while read_job(job.folder).state is not State.DONE:
        assert time.monotonic() < end
        time.sleep(0.02)
    for number in range(2, 201):
        shutil.copytree(job.folder, quick_jobs / f"{number:04d}-count")
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
        queue_count(ending="fail", title="Register a slide with a name that is longer than the dock is wide")
        shows(dock, qtbot, State.FAILED)
        assert widest(dock) <= 320
        for command, job_form in (REGISTER, TRAIN, UPSCALE):
            dock.open_form(command, job_form)
            assert dock.form is not None
            dock.form.options.more.expand(animate=False)
            qtbot.wait(50)
            assert widest(dock.form) <= 320, job_form.title
            for row in dock.form.options.rows:
                if isinstance(row.editor, QLineEdit):
                    assert row.editor.font().pointSize() == appearance.font_size
                    assert row.editor.height() >= row.editor.fontMetrics().height()
            dock.close_form()
        assert dock.details.log.font().pointSize() == appearance.font_size
    finally:
        appearance.font_size = usual
        shared_viewer.theme = before


def test_buttons_that_are_not_offered_leave_no_gap(dock: JobsWidget, qtbot: QtBot) -> None:
    queue_count(ending="fail", title="Phantom 3")
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
    dock.open_form(*UPSCALE)
    assert dock.form is not None
    form = dock.form.options
    assert form.row("slide").value == str(opened)
    assert form.row("out").value == str(opened.with_name("case-17-20x.ome.zarr"))
    assert dock.form.start.isEnabled()
    assert form.values() == {"slide": str(opened), "out": form.row("out").value}
    (action,) = (action for action in dock.new.menu().actions() if action.text() == "Register slides …")
    action.trigger()
    form = dock.form.options
    assert form.row("scans", 0).value == str(opened)
    assert form.row("scans", 1).value is None
    assert form.row("out").value == str(opened.with_name("case-17-pairs.zarr"))
    assert not dock.form.start.isEnabled()
    assert dock.form.wrong.text() == "Missing or invalid: 10× scan, 20× scan."


def typed(form: Any, option: str, text: str) -> str:
    """Type into a field; give what is said to be wrong."""
    row = form.row(option)
    row.editor.setText(text) if isinstance(row.editor, QLineEdit) else row.editor.setCurrentText(text)
    form.check()
    return str(row.problem_shown)


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("slide", "/nowhere/slide.svs", "no such file"),
        ("slide", __file__, "no slide"),
        ("out", "/nowhere/out.ome.zarr", "does not exist"),
        ("mpp", "wide", "must be a number"),
        ("region", "1,2", "four numbers"),
        ("model", "lit", "no model “lit”"),
    ],
)
def test_fields_are_checked_as_they_are_typed(
    dock: JobsWidget, qtbot: QtBot, opened: Path, option: str, text: str, said: str
) -> None:
    dock.open_form(*UPSCALE)
    assert dock.form is not None
    form = dock.form.options
    form.more.expand(animate=False)
    qtbot.wait(50)
    row, height = form.row(option), form.row(option).height()
    before = row.text
    row.editor.setText(text) if isinstance(row.editor, QLineEdit) else row.editor.setCurrentText(text)
    qtbot.waitUntil(lambda: said in row.problem_shown, timeout=PATIENCE_MS)
    assert not dock.form.start.isEnabled()
    assert not dock.form.copy.isEnabled()
    qtbot.wait(20)
    assert row.height() == height
    assert typed(form, option, before) == ""
    assert dock.form.start.isEnabled()


def test_options_are_given_as_typed_and_an_empty_result_lies_with_the_job(dock: JobsWidget, opened: Path) -> None:
    dock.open_form(*UPSCALE)
    assert dock.form is not None
    form = dock.form.options
    assert typed(form, "mpp", "1.4") == ""
    assert typed(form, "region", "0,0,100,100") == ""
    assert typed(form, "out", "") == ""
    assert form.values() == {
        "slide": str(opened), "out": "{result}/slide-20x.ome.zarr", "mpp": "1.4", "region": "0,0,100,100"
    }  # fmt: skip
    dock.form.copy.click()
    words = f"pathsrgan upscale {opened} slide-20x.ome.zarr --mpp 1.4 --region 0,0,100,100"
    assert QGuiApplication.clipboard().text() == words


@pytest.mark.parametrize(("command", "job_form"), FORMS, ids=lambda part: getattr(part, "title", ""))
def test_the_command_copied_can_be_run(
    dock: JobsWidget,
    opened: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Command[Any],
    job_form: JobForm,
) -> None:
    monkeypatch.setattr("napari_pathsrgan.plugin.widgets.option_row.is_pairs_file", Path.is_dir)
    monkeypatch.setenv("HOME", str(tmp_path))
    dock.open_form(command, job_form)
    assert dock.form is not None
    form = dock.form.options
    QGuiApplication.clipboard().setText("")
    if command.name == "train":
        assert typed(form, "pairs", "ward-4")
        assert not dock.form.copy.isEnabled()
        (tmp_path / "ward 4").mkdir()
        typed(form, "pairs", "~/ward 4")  # no shell reads that for a job
        assert "width=32" in typed(form, "preset_options", "width")
        assert typed(form, "preset_options", "width=16, blocks1=2") == ""
    elif command.name == "register":
        for place in (1, 2):
            form.row("scans", place).editor.setText(str(opened))
    assert form.check()
    dock.form.copy.click()
    program, name, *words = shlex.split(QGuiApplication.clipboard().text())
    assert (program, name) == ("pathsrgan", command.name)
    options = validated(command.options, parse(find_job_command(name), words))
    if command.name == "train":
        assert options.pairs == (tmp_path / "ward 4",)
        assert options.preset_options == {"width": 16, "blocks1": 2}
        assert options.init_from == job_form.preset.get("init_from")
        assert options.recipe == "laptop"


@pytest.mark.parametrize(("command", "job_form"), FORMS, ids=lambda part: getattr(part, "title", ""))
def test_no_default_is_refused(dock: JobsWidget, command: Command[Any], job_form: JobForm) -> None:
    dock.open_form(command, job_form)
    assert dock.form is not None
    for row in dock.form.options.rows:
        if row.value is not None:
            row.changed.emit()  # as if it were typed again
    dock.form.options.check()
    assert {row.key: row.problem_shown for row in dock.form.options.rows if row.problem_shown} == {}


def test_several_words_are_checked_one_by_one(dock: JobsWidget) -> None:
    dock.open_form(*TRAIN)
    assert dock.form is not None
    form = dock.form.options
    assert typed(form, "perceptual_cuts", "relu3_3, relu5_3") == ""
    assert form.values()["perceptual_cuts"] == ["relu3_3", "relu5_3"]
    assert "It must be" in typed(form, "perceptual_cuts", "relu3_3 relu9_9")


def test_a_recipe_shows_its_settings_until_they_are_changed(dock: JobsWidget) -> None:
    dock.open_form(*TRAIN)
    assert dock.form is not None
    form = dock.form.options
    assert (form.row("preset").text, form.row("patch_lr_px").value) == ("lite", 64)
    form.row("patch_lr_px").editor.setValue(32)
    form.row("recipe").editor.setCurrentText("published")
    assert (form.row("preset").text, form.row("patch_lr_px").value) == ("paper", 32)
    assert "preset" not in form.values()


def test_bounds_come_from_the_options(dock: JobsWidget, opened: Path) -> None:
    dock.open_form(*REGISTER)
    assert dock.form is not None
    form = dock.form.options
    for place in (1, 2):
        form.row("scans", place).editor.setText(str(opened))
    assert form.check()
    row = form.row("stride_px")
    for value, said in ((12, "at least 32"), (300, "")):
        row.editor.setValue(value)
        assert form.check() == (not said)
        assert said in row.problem_shown
    assert "Distance of neighbouring patches" in row.help.text()
    assert "--stride-px" in row.editor.toolTip()
    assert "At least 32." in row.editor.toolTip()
    assert form.values()["stride_px"] == 300


def test_required_fields_are_marked(dock: JobsWidget) -> None:
    dock.open_form(*TRAIN)
    assert dock.form is not None
    marked = {row.key for row in dock.form.options.rows if row.required}
    assert marked == {"pairs"}
    assert dock.form.options.row("pairs").editor.placeholderText() == "required"


def test_a_form_starts_a_job(dock: JobsWidget, qtbot: QtBot, opened: Path) -> None:
    dock.open_form(*UPSCALE)
    assert dock.form is not None
    dock.form.start.click()
    assert dock.form is None
    job = shows(dock, qtbot, State.FAILED)  # the counting worker runs no such command
    assert job.record.command == "upscale"
    assert job.record.options["slide"] == str(opened)
    assert job.record.options["precision"] == "auto"
    assert job.record.title == "Upscale case-17_4x"
    dock.open_form(*UPSCALE)
    assert dock.form is not None
    dock.form.cancel.click()
    assert dock.form is None


def test_a_job_just_started_stays_the_chosen_one(
    dock: JobsWidget, qtbot: QtBot, opened: Path, count: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that began before it was queued does not know it."""
    count(3)
    shows(dock, qtbot, State.DONE)
    began, go_on, read = threading.Event(), threading.Event(), dock.monitor._jobs.read

    def read_slowly() -> list[Job]:
        jobs = read()
        began.set()
        go_on.wait(PATIENCE_MS / 1000)
        return jobs

    monkeypatch.setattr(dock.monitor._jobs, "read", read_slowly)
    dock.monitor.refresh()
    qtbot.waitUntil(began.is_set, timeout=PATIENCE_MS)
    chosen: list[str] = []
    dock.list.chosen.connect(chosen.append)
    dock.open_form(*UPSCALE)
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
