"""The figures on a model card: right by definition, and taken from the right pictures."""

from __future__ import annotations

import numpy as np
import pytest

from napari_pathsrgan.evaluation.metrics import Pixels, psnr
from napari_pathsrgan.phantom.settings import ColourResponse
from napari_pathsrgan.slides.resample import enlarge
from napari_pathsrgan.training.fields import Field, Scan, recolour
from napari_pathsrgan.training.heldout import evaluate


def checks(height: int, width: int, seed: int = 0) -> Pixels:
    """Draw a picture with structure at all scales."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 230, (height // 4 + 1, width // 4 + 1, 3))
    return np.kron(coarse, np.ones((4, 4, 1), int))[:height, :width].astype(np.uint8)


TINTS = (
    ColourResponse((0.96, 0.96, 0.96)),
    ColourResponse((0.9, 0.8, 1.0), 1.2),
    ColourResponse((1.0, 0.85, 0.8), 0.9),
)


@pytest.fixture
def field() -> Field:
    hr = checks(64, 80)
    lr, mr = hr[::4, ::4], hr[::2, ::2]
    return Field(
        "f", tuple(Scan(np.clip(lr.astype(int) + n, 0, 255).astype(np.uint8), c) for n, c in enumerate(TINTS)), mr, hr
    )


class Oracle:
    """Knows the truth in each scanner's colours, and spoils what is asked of it by a step of grey."""

    def __init__(self, field: Field, step: int = 0) -> None:
        self._answers = {
            scan.lr.tobytes(): (recolour(field.mr, scan.colour), recolour(field.hr, scan.colour))
            for scan in field.scans
        }
        self._step = step

    def apply(self, patch: Pixels) -> tuple[Pixels, Pixels]:
        mr, hr = self._answers[patch.tobytes()]
        return _raised(mr, self._step), _raised(hr, self._step)


def _raised(picture: Pixels, step: int) -> Pixels:
    return np.where(picture > 127, picture - step, picture + step).astype(np.uint8)


def test_targets_take_each_scans_colours(field: Field) -> None:
    figures = evaluate(Oracle(field), [field, field])
    assert {figures[f"psnr_{view}_{kind}"] for view in ("10x", "20x") for kind in ("clean", "drawn")} == {98.1308}
    assert {figures[f"ssim_{view}_{kind}"] for view in ("10x", "20x") for kind in ("clean", "drawn")} == {1.0}
    assert all(np.isfinite(value) for value in figures.values())


def test_bicubic_is_measured_on_the_same_pictures(field: Field) -> None:
    figures = evaluate(Oracle(field), [field])
    clean = field.scans[0]
    expected = psnr(enlarge(clean.lr, 4), recolour(field.hr, clean.colour))
    assert figures["psnr_20x_clean_bicubic"] == pytest.approx(expected, abs=1e-4)
    drawn = [psnr(enlarge(scan.lr, 2), recolour(field.mr, scan.colour)) for scan in field.scans[1:]]
    assert figures["psnr_10x_drawn_bicubic"] == pytest.approx(np.mean(drawn), abs=1e-4)


def test_a_worse_model_gets_worse_figures(field: Field) -> None:
    better, worse = evaluate(Oracle(field, 1), [field]), evaluate(Oracle(field, 6), [field])
    own = [name for name in better if not name.endswith("bicubic")]
    assert len(own) == 8
    assert all(worse[name] < better[name] for name in own)
    assert all(worse[name] == better[name] for name in better if name.endswith("bicubic"))


def test_without_drawn_scans_or_fields_there_are_no_such_figures(field: Field) -> None:
    clean = Field("clean", field.scans[:1], field.mr, field.hr)
    assert not [name for name in evaluate(Oracle(clean), [clean]) if "drawn" in name]
    assert evaluate(Oracle(field), []) == {}
