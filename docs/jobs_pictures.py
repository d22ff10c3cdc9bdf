"""Make the images of the dock *Jobs*: ``python docs/jobs_pictures.py``.

Runs real jobs on phantoms, in a home of their own, until there is one in each state; opens a real window, on a virtual
screen where there is none; and writes docs/images/jobs*.jpg. The training is a small one: it is to be seen, not used.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import napari
import numpy as np
import psutil
from napari.settings import get_settings
from PIL import Image
from widget_pictures import NARROW_PX, beside, picture, settle, until, write

from napari_pathsrgan.commands.app import parse
from napari_pathsrgan.commands.jobs import queue_command
from napari_pathsrgan.commands.registry import find_job_command
from napari_pathsrgan.jobs.listing import Job, read_job
from napari_pathsrgan.jobs.queue import AT_ONCE_VARIABLE, stop_job
from napari_pathsrgan.jobs.record import State
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.jobs.jobs_widget import JobsWidget
from napari_pathsrgan.plugin.widgets.screen import some_screen

FOLDER = Path(tempfile.gettempdir()) / "slides"
"""Its name is read in the images."""

TRAINING = (
    "--accelerator cpu --num-workers 0 --batch-size 1 --patch-lr-px 16 --epoch-steps 150 --epochs 1 40 2"
    " --preset-options.width 8 --preset-options.blocks1 1 --preset-options.features 8 --preset-options.blocks2 1"
    " --discriminator-norm spectral --samples-every-s 60"
)


def queue(words: list[str], title: str) -> Job:
    """Queue a job with a name."""
    command = find_job_command(words[0])
    return queue_command(command, parse(command, words[1:]), title)


def worker(job: Job) -> psutil.Process:
    """The process that does a job's work."""
    return psutil.Process(job.record.process.pid).children()[0]


def one_in_each_state(folder: Path, scans: dict[int, Path], other: Path) -> dict[State, Job]:
    """Run jobs until there is one in each state."""
    jobs: dict[State, Job] = {}
    triplet = [str(scans[power]) for power in (4, 10, 20)]
    pairs = folder / "ward-3.zarr"
    words = ["--stride-px", "256", "--split", "train"]
    jobs[State.DONE] = queue(["register", str(pairs), *triplet, *words], "Register ward-3")
    left_out = [str(folder / "ward-4" / f"{power}x.tiff") for power in (4, 10, 20)]
    queue(["register", str(pairs), *left_out, *words[:2], "--split", "test"], "Register ward-4")
    jobs[State.FAILED] = queue(["register", str(folder / "p"), str(other), *triplet[1:]], "Register case-09")
    until(lambda: not read_job(jobs[State.FAILED].folder).state.active)
    for state, title in ((State.INTERRUPTED, "Phantom 7"), (State.STOPPED, "Phantom 8")):
        job = jobs[state] = queue(["phantom", str(folder / str(state)), "--size-um", "900"], title)
        until(lambda job=job: (seen := read_job(job.folder)).progress and seen.progress.share > 0.05)
        if state is State.STOPPED:
            stop_job(job)
        else:
            worker(job).kill()
        until(lambda job=job: not read_job(job.folder).state.active)
    run = folder / "ward-3-lite"
    words = ["train", "--pairs", str(pairs), "--out", str(run), *TRAINING.split()]
    jobs[State.RUNNING] = queue(words, "Train lite on ward-3")
    metrics = run / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.read_text().count("pixel_20x") > 3, 900)
    os.environ[AT_ONCE_VARIABLE] = "2"
    stopping = jobs[State.STOPPING] = queue(["phantom", str(folder / "x"), "--size-um", "900"], "Phantom 9")
    until(lambda: (seen := read_job(stopping.folder)).progress and seen.progress.share > 0.02)
    worker(stopping).suspend()  # it would stop before it could be seen
    stop_job(stopping)
    del os.environ[AT_ONCE_VARIABLE]
    jobs[State.QUEUED] = queue(["evaluate", str(pairs), "--out", str(folder / "report")], "Evaluate lite on ward-3")
    return jobs


def main() -> None:
    """Run, wait, photograph."""
    folder = FOLDER
    folder.mkdir()
    get_settings(folder / "napari.yaml")  # not the user's, whose letters may be of any size
    with some_screen():
        os.environ["PATHSRGAN_JOBS"] = str(folder / "jobs")
        files = write_phantom(folder / "ward-3", 800.0, 3, background_share=0.2)
        write_phantom(folder / "ward-4", 600.0, 5, background_share=0.2)
        other = write_phantom(folder / "case-09", 800.0, 4, (4,), background_share=0.2).scans[4]
        viewer = napari.Viewer(title="PathSRGAN", show_welcome_screen=False)
        viewer.window.resize(1300, 900)
        dock = JobsWidget(viewer)
        viewer.window.add_dock_widget(dock, name="Jobs", area="right")
        dock.setFixedWidth(NARROW_PX)
        viewer.open([str(files.scans[power]) for power in (4, 10, 20)], plugin="napari-pathsrgan")
        settle(1.5)
        empty = picture(dock)
        register, upscale = find_job_command("register"), find_job_command("upscale")
        dock.open_form(register, register.forms[0])
        filled = picture(dock)
        assert dock.form is not None
        form = dock.form.options
        form.row("scans", 1).editor.setText(str(folder / "nothing.svs"))
        form.more.expand(animate=False)
        form.row("stride_px").editor.setValue(3)
        form.row("least_correlation").editor.setText("2")
        form.check()
        wrong = picture(dock)
        dock.close_form()
        beside([empty, filled, wrong], "jobs-forms")
        jobs = one_in_each_state(folder, files.scans, other)
        settle(2)
        seen = {}
        for state, job in jobs.items():
            dock.list.choose(job.id)
            settle(1)
            if state is State.FAILED:
                dock.details.show_page("Log")
            seen[state] = picture(dock)
            dock.details.show_page("Progress")
        beside([seen[state] for state in (State.RUNNING, State.QUEUED, State.STOPPING, State.STOPPED)], "jobs-going")
        beside([seen[state] for state in (State.INTERRUPTED, State.FAILED, State.DONE)], "jobs-ended")
        dock.list.choose(jobs[State.RUNNING].id)
        pages = []
        for page in ("Images", "Log"):
            dock.details.show_page(page)
            pages.append(picture(dock))
        beside(pages, "jobs-pages")
        dock.details.show_page("Progress")
        viewer.theme = "light"
        light = picture(dock)
        dock.open_form(upscale, upscale.forms[0])
        light_form = picture(dock)
        dock.close_form()
        viewer.theme = "dark"
        appearance = get_settings().appearance
        usual = appearance.font_size
        appearance.font_size = 2 * usual
        large = picture(dock)
        register, upscale = find_job_command("register"), find_job_command("upscale")
        dock.open_form(register, register.forms[0])
        large_form = picture(dock)
        dock.close_form()
        appearance.font_size = usual
        beside([light, light_form, large, large_form], "jobs-looks")
        dock.setMinimumWidth(260)
        dock.setMaximumWidth(NARROW_PX + 80)
        settle(1.5)
        window = viewer.screenshot(canvas_only=False, flash=False)
        write(Image.fromarray(np.asarray(window)[..., :3]), "jobs")
        for job in jobs.values():
            if read_job(job.folder).state.active:
                stop_job(job, at_once=True)
        dock.end()
        viewer.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
