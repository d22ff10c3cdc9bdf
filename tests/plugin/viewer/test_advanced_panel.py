"""The panel of settings that most users never touch: what is kept on disk."""

from __future__ import annotations

from typing import Any

import pytest

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.inference.cache_folder import cache_settings, default_folder, folder_in_use
from napari_pathsrgan.inference.tile_service import ComputeSettings
from napari_pathsrgan.plugin.viewer import advanced_panel
from napari_pathsrgan.plugin.viewer.advanced_panel import AdvancedPanel


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The user's answers, in turn."""
    monkeypatch.delenv("PATHSRGAN_KEEP_TILES", raising=False)
    answers: list[bool] = []
    monkeypatch.setattr(advanced_panel, "confirm", lambda *_: answers.pop(0))
    return answers


@pytest.fixture
def panel(qtbot: Any, questions: list[bool]) -> AdvancedPanel:
    made = AdvancedPanel(ComputeSettings())
    qtbot.addWidget(made)
    return made


def test_views_are_kept_once_the_user_has_said_yes_and_from_then_on(
    panel: AdvancedPanel, questions: list[bool]
) -> None:
    told: list[ComputeSettings] = []
    panel.settings_changed.connect(told.append)
    assert not panel.cache_on_disk.isChecked()
    questions += [False, True]
    panel.cache_on_disk.click()
    assert not panel.cache_on_disk.isChecked()
    assert told == []
    assert folder_in_use() is None
    panel.cache_on_disk.click()
    assert told[-1].cache_folder == folder_in_use() == default_folder()
    assert ComputeSettings().cache_folder == default_folder()
    panel.cache_on_disk.click()  # no question: nothing is lost by it
    assert told[-1].cache_folder is None
    assert not cache_settings().keep
    assert questions == []


def test_an_answer_that_cannot_be_remembered_is_told_and_holds_for_the_session(
    panel: AdvancedPanel, questions: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OutputError("The setting cannot be remembered.", "Set PATHSRGAN_KEEP_TILES instead.")

    monkeypatch.setattr(advanced_panel, "remember_cache_settings", fail)
    told: list[Any] = []
    panel.not_remembered.connect(told.append)
    panel.settings_changed.connect(told.append)
    questions.append(True)
    panel.cache_on_disk.click()
    assert isinstance(told[0], OutputError)
    assert told[1].cache_folder is not None


def test_clearing_asks_first(panel: AdvancedPanel, questions: list[bool]) -> None:
    asked: list[bool] = []
    panel.clear_requested.connect(lambda: asked.append(True))
    assert not panel.clear_disk.isEnabled()
    panel.show_disk_use(5_000_000)
    questions += [False, True]
    panel.clear_disk.click()
    assert asked == []
    panel.clear_disk.click()
    assert asked == [True]


def test_the_question_is_answered_by_no_unless_yes_is_chosen(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from qtpy.QtWidgets import QMessageBox, QWidget

    from napari_pathsrgan.plugin.widgets.confirm import confirm

    parent = QWidget()
    qtbot.addWidget(parent)
    seen: list[Any] = []

    def answer(*shown: Any) -> Any:
        seen.append(shown)
        return QMessageBox.StandardButton.Yes if len(seen) == 2 else QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", answer)
    assert [confirm(parent, "Title", "Really?"), confirm(parent, "Title", "Really?")] == [False, True]
    assert seen[0][-1] == QMessageBox.StandardButton.No, "what Return gives"
