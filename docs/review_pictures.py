"""Make the pictures of reviews: ``python docs/review_pictures.py [--pairs PAIRS] [--browser CHROMIUM]``.

Makes two reviews, of a phantom or of PAIRS; lets invented raters rate them, who like sharp pictures better and agree
more or less; opens real windows, on a virtual screen where there is none; and writes docs/images/review*.jpg. The page
of the report is photographed by CHROMIUM, a browser that knows ``--headless --screenshot``, where there is one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import napari
import numpy as np
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from widget_pictures import NARROW_PX, beside, picture, settle, write

from napari_pathsrgan.commands.app import main as pathsrgan
from napari_pathsrgan.phantom.scanner import write_phantom
from napari_pathsrgan.plugin.review.rating_window import open_rating
from napari_pathsrgan.plugin.review.review_widget import ReviewWidget
from napari_pathsrgan.plugin.widgets.screen import some_screen
from napari_pathsrgan.review.key import find_key, read_key
from napari_pathsrgan.review.session import Session

LIKED = {"bicubic": 1.6, "lite": 3.3, "real": 4.5}
"""Mean scores that the invented raters give."""


def rate_all(review: Path, rater: str, seed: int, most: int = 1000) -> None:
    """Rate like somebody who sees which picture is sharper, and is not always sure."""
    rng = np.random.default_rng(seed)
    methods = {name: entry.method for name, entry in read_key(find_key(review)).images.items()}
    taste = rng.normal(0, 0.3)
    with Session(review, rater) as session:
        while session.place is not None and session.place < most:
            liked = [LIKED[methods[name]] + rng.normal(taste, 0.7) for name in session.trial.images]
            if session.mode == "single":
                score = int(np.clip(round(liked[0]), 1, 5))
            else:
                score = 2 if abs(liked[0] - liked[1]) < 0.4 else 1 if liked[0] > liked[1] else 3
            session.rate(score, float(rng.lognormal(1.4, 0.4)))


def rating_pictures(single: Path, pair: Path) -> None:
    """The rater's window, page by page."""
    widget = open_rating(single, "D")
    widget.showNormal()
    widget.resize(1120, 860)
    write(picture(widget), "review-first-page")
    QTest.keyClick(widget, Qt.Key.Key_Return)
    warm_up = picture(widget)
    for key in ("3", "2", "4"):
        QTest.keyClick(widget, key)
    QTest.keyClick(widget, Qt.Key.Key_Backspace)
    write(picture(widget), "review-rating")
    QTest.keyClick(widget, Qt.Key.Key_C)
    QTest.keyClicks(widget.page.words, "a fold of the cytoplasm?")
    commented = picture(widget)
    QTest.keyClick(widget.page.words, Qt.Key.Key_Return)
    QTest.keyClick(widget, Qt.Key.Key_Space)
    paused = picture(widget)
    QTest.keyClick(widget, Qt.Key.Key_Space)
    beside([one.resize((560, 430), Image.Resampling.LANCZOS) for one in (warm_up, commented, paused)], "review-states")
    widget.close()
    settle()
    widget = open_rating(pair, "D")
    widget.showNormal()
    widget.resize(1240, 860)
    QTest.keyClick(widget, Qt.Key.Key_Return)
    write(picture(widget), "review-pair")
    widget.close()
    settle()


def dock_picture(review: Path) -> None:
    """The dock: how far the raters are, a new review, the same with large letters."""
    viewer = napari.Viewer(title="PathSRGAN", show_welcome_screen=False)
    viewer.window.resize(1100, 860)
    dock = ReviewWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Review", area="right")
    dock.setFixedWidth(NARROW_PX)
    dock.open(review)
    dock.rater.setText("D")
    dock.raters.expand(animate=False)
    known = picture(dock)
    dock.raters.collapse(animate=False)
    dock.new.expand(animate=False)
    dock.form.set_sources([Path("ward-3.zarr")])
    new = picture(dock)
    appearance = get_settings().appearance
    usual = appearance.font_size
    appearance.font_size = 2 * usual
    large = picture(dock)
    appearance.font_size = usual
    beside([known, new, large], "review-dock")
    viewer.close()


def report_picture(review: Path, folder: Path, browser: str) -> None:
    """The report's page in a browser."""
    out = folder / f"{review.stem}-report"
    pathsrgan(["review", "report", str(review), "--out", str(out)])
    if shutil.which(browser) is None:
        print(f"{browser} is not there: no picture of the page")
        return
    shot = folder / "report.png"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--screenshot={shot}"]
    page = (out / "report.html").as_uri()
    subprocess.run([*command, "--window-size=1000,2400", page], check=True, timeout=120, stderr=subprocess.DEVNULL)
    pixels = np.asarray(Image.open(shot).convert("RGB"))
    used = np.flatnonzero((pixels != 255).any(axis=(1, 2)))
    write(Image.fromarray(pixels[: used[-1] + 30]), "review-report")


def main() -> None:
    """Make reviews, rate them, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, help="a pairs file")
    parser.add_argument("--browser", default="chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, some_screen():
        folder = Path(made)
        pairs: Path | None = arguments.pairs
        if pairs is None:
            scans = write_phantom(folder / "ward-3", 1000.0, 3, background_share=0.2).scans
            pairs = folder / "ward-3.zarr"
            pathsrgan(["register", str(pairs), *(str(scans[power]) for power in (4, 10, 20)), "--split", "test"])
        single, pair = folder / "ward.review", folder / "choices.review"
        common = [str(pairs), "--patches", "8", "--repeats", "4", "--warm-up", "2"]
        pathsrgan(["review", "new", str(single), *common, "--title", "Ward 3"])
        pathsrgan(["review", "new", str(pair), *common, "--mode", "pair", "--title", "Ward 3"])
        for review in (single, pair):
            for seed, rater in enumerate("ABC"):
                rate_all(review, rater, seed, 1000 if rater != "C" else 16)
        application = QApplication.instance() or QApplication([])
        rating_pictures(single, pair)
        dock_picture(single)
        report_picture(single, folder, arguments.browser)
        application.quit()


if __name__ == "__main__":
    main()
