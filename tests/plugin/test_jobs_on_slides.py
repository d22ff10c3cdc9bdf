"""Real jobs from the dock: three scans become pairs, which are looked at and measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_pathsrgan.jobs.orders import queue_job
from napari_pathsrgan.jobs.spec import State
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.job_forms import PLANS
from napari_pathsrgan.plugin.jobs_widget import JobsWidget
from napari_pathsrgan.plugin.registration_dock import RegistrationWidget

PATIENCE_MS = 120_000


def test_from_three_open_scans_to_figures(
    shared_viewer: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHSRGAN_JOBS", str(tmp_path / "jobs"))
    scans = write_phantom(tmp_path / "ward-3", 700.0, 3, glass_share=0.2).scans
    viewer = shared_viewer
    viewer.open([str(scans[power]) for power in (4, 10, 20)], plugin="napari-pathsrgan")
    dock = JobsWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Jobs", area="right")

    def wait_done() -> None:
        qtbot.waitUntil(
            lambda: dock.list.current is not None and not dock.list.current.state.active, timeout=PATIENCE_MS
        )
        assert dock.list.current is not None
        assert dock.list.current.state is State.DONE, dock.list.current.record.problem

    dock.open_form(PLANS[0])
    assert dock.form is not None
    dock.form.row("split").set_value("test")
    assert dock.form.check()
    dock.form.start.click()
    wait_done()
    dock.details.actions_["open"].click()
    (registration,) = (w for w in viewer.window.dock_widgets.values() if isinstance(w, RegistrationWidget))
    qtbot.waitUntil(lambda: len(registration.layers) == 4, timeout=PATIENCE_MS)
    pairs = str(tmp_path / "ward-3" / "ward-3-pairs.zarr")
    report = tmp_path / "report"
    job = queue_job(["evaluate", pairs, "--max-patches", "2", "--out", str(report)], {"out": str(report)})
    qtbot.waitUntil(lambda: any(one.id == job.id for one in dock.list.jobs), timeout=PATIENCE_MS)
    dock.list.choose(job.id)
    wait_done()
    assert (report / "report.html").is_file()
    qtbot.waitUntil(lambda: len(dock.details.pictures.shown) == 1, timeout=PATIENCE_MS)  # the contact sheet
    viewer.window.remove_dock_widget(dock)
    viewer.window.remove_dock_widget(registration)
    registration.end()
    viewer.layers.clear()
