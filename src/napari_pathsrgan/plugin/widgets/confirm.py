"""A question that is answered with yes or no, before something that can't be taken back."""

from __future__ import annotations

from qtpy.QtWidgets import QMessageBox, QWidget

from napari_pathsrgan.plugin.widgets.plain_text import plain_tip


def confirm(parent: QWidget, title: str, question: str) -> bool:
    """Ask; whoever only presses Return or Escape has said no."""
    yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
    return QMessageBox.question(parent, title, plain_tip(question), yes | no, no) == yes
