from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtGui import QFont, QFontMetricsF
from qtpy.QtWidgets import QApplication

from napari_pathsrgan.plugin.compare.pane_labels import draw_label, fit_label

NAME = "case-17-of-the-long-series · SR-20× computed · lite · 0.293 µm/px"


@pytest.mark.parametrize("width", [900, 300, 160, 90, 60, 30])
@pytest.mark.parametrize("points", [9, 18])
def test_a_label_fits_and_always_says_computed(qapp: Any, width: int, points: int) -> None:
    font = QFont(QApplication.font())
    font.setPointSize(points)
    lines, fitting = fit_label(NAME, font, width)
    assert "computed" in " ".join(lines)
    for line in lines:
        if line != "computed":
            assert QFontMetricsF(fitting).horizontalAdvance(line) <= max(width, 12)
    if width == 900 and points == 9:
        assert lines == (NAME,)


def test_a_label_is_drawn_in_the_canvas_s_colours(qapp: Any) -> None:
    for background, letters in ((0.0, 255), (1.0, 0)):
        picture = draw_label(("SR-20×", "computed"), QFont(), np.array([background] * 3 + [1.0]), 2.0)
        assert picture.dtype == np.uint8
        box = picture[4, picture.shape[1] // 2]
        assert abs(int(box[0]) - 255 * background) < 4
        assert abs(int(box[3]) - 204) < 3
        assert (picture[..., 0] == letters).any()
