"""Text from files is shown as text, whatever looks like HTML in it."""

from __future__ import annotations

import re
from pathlib import Path

from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

import napari_pathsrgan.plugin
from napari_pathsrgan.errors import OptionError
from napari_pathsrgan.jobs.listing import breakable
from napari_pathsrgan.plugin.viewer.pixel_size_dialog import PixelSizeDialog
from napari_pathsrgan.plugin.widgets.message_strip import MessageStrip
from napari_pathsrgan.plugin.widgets.plain_text import MarkedLabel, PlainLabel, escaped, plain_message_box, plain_tip

SOURCES = list(Path(napari_pathsrgan.plugin.__file__).parent.rglob("*.py"))
FORGED = "<img src='http://example.org/x'><b>Saved.</b>\x1b[2J"


def test_every_label_says_whether_its_text_is_markup() -> None:
    boxes = r"QMessageBox\.(question|warning|information|critical|about)\b"
    guessing = rf"(?<![A-Za-z])QLabel\(|{boxes}|setHtml|insertHtml|appendHtml"
    assert len(SOURCES) > 50
    assert not [path.name for path in SOURCES if path.name != "confirm.py" and re.search(guessing, path.read_text())]


def test_every_tool_tip_is_a_text_of_ours_or_a_plain_one() -> None:
    ours = r"""\s*(plain_tip\(|"[^"{{}}]*"|(\w+\.)?tip\)|_TIP\)|f"Show \{title\.lower\(\)\})"""
    guessing = rf"set(ToolTip|StatusTip|WhatsThis)\((?!{ours})|ToolTipRole:\s+return (?!plain_tip)"
    guessing += r"|(?<!plain_tip\(pane_label\(layer\)\)), Qt\.ItemDataRole\.ToolTipRole\)"
    assert not [(path.name, found.group()) for path in SOURCES for found in re.finditer(guessing, path.read_text())]


def test_labels_tips_and_boxes_show_html_as_text(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    label = PlainLabel(FORGED, parent)
    assert label.textFormat() == Qt.TextFormat.PlainText
    label.setText("<b>later</b>")
    assert label.text() == "<b>later</b>"
    assert plain_message_box(parent, FORGED).textFormat() == Qt.TextFormat.PlainText
    assert "<img" not in plain_tip(f"{FORGED}\nnext")
    assert plain_tip("a\nb & c") == "<qt>a<br>b &amp; c</qt>"
    assert MarkedLabel(f"<b>{escaped(FORGED)}</b>", parent).text().count("<") == 2
    assert "\x1b" not in escaped(FORGED)
    assert escaped(breakable("/a/long/path")) == breakable("/a/long/path") != "/a/long/path"


def test_a_message_strip_shows_what_an_error_quotes_as_text(qtbot: QtBot) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)
    strip = MessageStrip(parent)
    strip.show_problem(OptionError(f"{FORGED} is no slide.", "Choose another."))
    label = next(one for one in strip.findChildren(QLabel) if "Saved" in one.text())
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert "\x1b" not in label.text()
    strip.show_notice("\x1b[2J")
    assert "\x1b" not in strip._text.text()


def test_the_question_for_a_pixel_size_names_the_slide_as_text(qtbot: QtBot) -> None:
    dialog = PixelSizeDialog(FORGED)
    qtbot.addWidget(dialog)
    (question,) = (one for one in dialog.findChildren(QLabel) if "does not say" in one.text())
    assert "<img" not in question.text()
