"""The slider between fidelity and sharpness: what it shows, and that the picture follows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.plugin.conftest import Window, write_model

from napari_pathsrgan.models.zoo import user_folder

pytestmark = pytest.mark.usefixtures("shared_process")


@pytest.fixture
def own_models() -> str:
    """A model of the user's that was trained from another: no brighter than bicubic, and brighter by 20 levels."""
    write_model(user_folder() / "calm.safetensors", lift=0.0)
    write_model(user_folder() / "bright.safetensors", lift=0.08, psnr_model="calm")
    return "bright"


def _use(window: Window, share: int) -> None:
    with window.qtbot.waitSignal(window.session.model_set, timeout=30_000):
        window.dock.form.fidelity.slider.setValue(share)
    window.settle()
    window.wait_sharp()


def test_the_picture_lies_between_those_of_both_models(
    make_window: Callable[..., Window], slide_path: Path, own_models: str
) -> None:
    window = make_window(slide_path)
    window.look(500, 600, 0.3)
    assert not window.dock.form.fidelity.isVisible()  # the test's usual model was not trained from another
    with window.qtbot.waitSignal(window.session.model_set, timeout=30_000):
        window.dock.choose_model(own_models)
    slider = window.dock.form.fidelity
    assert slider.isVisible()
    assert slider.slider.value() == 10
    window.settle()
    window.wait_sharp()
    layer, view = window.view("SR-20")
    natural = window.drawn(layer)[3].mean()
    _use(window, 5)
    between = window.drawn(layer)[3].mean()
    assert view.super_resolved.runner.card.name == "bright 50 %"
    assert window.dock.form.models.currentText() == "bright"
    _use(window, 0)
    faithful = window.drawn(layer)[3].mean()
    assert view.super_resolved.runner.card.name == "calm"
    assert window.dock.form.models.currentText() == "bright"
    assert slider.slider.value() == 0
    assert natural > faithful + 15
    assert between == pytest.approx((natural + faithful) / 2, abs=1)


def test_a_psnr_model_that_is_gone_is_told_and_the_slider_goes_back(
    make_window: Callable[..., Window], slide_path: Path, own_models: str
) -> None:
    window = make_window(slide_path)
    with window.qtbot.waitSignal(window.session.model_set, timeout=30_000):
        window.dock.choose_model(own_models)
    (user_folder() / "calm.safetensors").unlink()
    window.dock.form.fidelity.slider.setValue(3)
    window.settle()
    assert "no model “calm”" in window.dock.messages.text
    assert window.dock.form.fidelity.slider.value() == 10
