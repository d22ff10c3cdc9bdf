from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QDialog
from tests.plugin.conftest import draw_smear, write_slide

from napari_pathsrgan.errors import MissingMppError
from napari_pathsrgan.plugin.reader import read_slides
from napari_pathsrgan.plugin.viewer import pixel_size_dialog
from napari_pathsrgan.plugin.viewer.pixel_size_dialog import PixelSizeDialog, open_asking, remember_mpp, remembered_mpp


@pytest.fixture
def untold(tmp_path: Path) -> Path:
    return write_slide(tmp_path / "untold.tif", draw_smear(300, 300), mpp=None)


@pytest.fixture
def answers(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the user does with each dialog, in turn: a number is typed, None cancels."""
    given: list[Any] = []

    def answer(dialog: PixelSizeDialog) -> int:
        said = given.pop(0)
        if said is None:
            return QDialog.DialogCode.Rejected
        if isinstance(said, int):
            dialog.buttons.button(said).click()
        else:
            dialog.other.setValue(said)
        return QDialog.DialogCode.Accepted

    monkeypatch.setattr(PixelSizeDialog, "exec", answer)
    return given


@pytest.mark.parametrize(("answer", "mpp"), [(0, 1.465), (1, 0.586), (2, 0.293), (0.7, 0.7)])
def test_the_answer_is_used_and_remembered(untold: Path, answers: list[Any], answer: Any, mpp: float) -> None:
    answers.append(answer)
    ((_, parameters, _),) = read_slides(str(untold))
    assert parameters["scale"] == pytest.approx((mpp, mpp))
    with open_asking(untold) as slide:  # no answer left: it is not asked again
        assert slide.mpp == pytest.approx(mpp)


def test_cancelling_opens_nothing_and_remembers_nothing(untold: Path, answers: list[Any]) -> None:
    answers += [None, None]
    for _ in range(2):
        with pytest.raises(MissingMppError, match="untold"):
            open_asking(untold)
    assert answers == []
    assert remembered_mpp(untold) is None


def test_without_a_window_nothing_is_asked(untold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_size_dialog.QApplication, "instance", lambda: None)
    with pytest.raises(MissingMppError, match="--mpp"):
        open_asking(untold)


def test_each_slide_has_its_own_answer_even_after_damage(tmp_path: Path) -> None:
    one, other = (write_slide(tmp_path / f"{seed}.tif", draw_smear(90, 90, seed=seed), mpp=None) for seed in (1, 2))
    remember_mpp(one, 1.0)
    remember_mpp(other, 2.0)
    assert remembered_mpp(one) == 1.0
    assert remembered_mpp(other) == 2.0
    for damage in ("not json", "[1, 2]", '{"x": "y"}', '{"x": -1}'):
        pixel_size_dialog.memory_file().write_text(damage)
        assert remembered_mpp(one) is None
        remember_mpp(one, 3.0)
        assert remembered_mpp(one) == 3.0


def test_an_answer_is_for_a_slide_and_not_for_a_path(untold: Path, tmp_path: Path, answers: list[Any]) -> None:
    """A camera writes snap.tif again the next day, at another objective."""
    answers += [0, 2]
    with open_asking(untold) as slide:
        assert slide.mpp == pytest.approx(1.465)
    moved = untold.rename(tmp_path / "archived.tif")
    write_slide(untold, draw_smear(300, 300, seed=8), mpp=None)
    with open_asking(untold) as slide:
        assert slide.mpp == pytest.approx(0.293)
    with open_asking(moved) as slide:
        assert slide.mpp == pytest.approx(1.465)
    assert answers == []


def test_nothing_is_remembered_of_what_is_no_slide(tmp_path: Path) -> None:
    assert remembered_mpp(tmp_path / "gone.tif") is None
    (tmp_path / "notes.txt").write_text("no slide")
    assert remembered_mpp(tmp_path / "notes.txt") is None


def test_a_place_that_cannot_be_written_is_no_failure(untold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = untold.with_name("file")
    blocked.write_text("")
    monkeypatch.setattr(pixel_size_dialog, "memory_file", lambda: blocked / "pixel_sizes.json")
    remember_mpp(untold, 1.0)
    assert remembered_mpp(untold) is None


def test_the_dialog_asks_in_words_that_fit(qtbot: Any) -> None:
    dialog = PixelSizeDialog("a very long name of a slide " * 5 + ".tif")
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.width() < 600
    assert dialog.mpp() == 1.465
    dialog.other.setValue(0.5)
    assert dialog.mpp() == 0.5
