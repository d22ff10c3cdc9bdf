"""Which slide, which model, which panes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QWidget

from napari_pathsrgan.models.zoo import WEIGHT_SIGN, available_models, split_weight, user_folder
from napari_pathsrgan.plugin.layers.scan_layer import SLIDE_KEY
from napari_pathsrgan.plugin.layers.view_kinds import ViewKind, view_kinds
from napari_pathsrgan.plugin.viewer.fidelity_slider import FidelitySlider
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, combo_box, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import PlainLabel, plain_tip

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_pathsrgan.models.card import ModelCard
    from napari_pathsrgan.slides.slide import Slide

_OTHER_MODEL = "Other file …"
_SCAN_EVERY_MS = 1000


class SlideForm(QWidget):
    """The choices at the top of the dock.

    Attributes
    ----------
    slide_chosen : Signal()
    model_chosen : Signal(object)
        A name or a path, or ``NAME@WEIGHT``: see `models.zoo.find_model`.
    kind_toggled : Signal(object, bool)
        A `ViewKind`, and whether to show it.
    models_changed : Signal()
        A model came into the user's folder, or went.
    """

    slide_chosen = Signal()
    model_chosen = Signal(object)
    kind_toggled = Signal(object, bool)
    models_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slides = combo_box("The slide that this dock shows")
        self.facts = PlainLabel()
        self.facts.setWordWrap(True)
        self.models = combo_box("The network that computes the views")
        form = narrow_form(self)
        form.addRow("Slide", self.slides)
        form.addRow("", self.facts)
        form.addRow("Model", self.models)
        self.fidelity = FidelitySlider()
        form.addRow(self.fidelity)
        self.show_row = self._build_boxes()
        form.addRow("Show", self.show_row)
        self.slides.currentIndexChanged.connect(lambda _: self.slide_chosen.emit())
        self.models.activated.connect(self._on_model)
        self.fidelity.share_chosen.connect(self._on_share)
        self._models_seen = _time_of_change(user_folder())
        timer = QTimer(self)
        timer.timeout.connect(self._scan_models)
        timer.start(_SCAN_EVERY_MS)

    @property
    def current_source(self) -> Layer | None:
        """The layer of the slide chosen."""
        return cast("Layer | None", self.slides.currentData())

    def list_slides(self, layers: list[Layer]) -> None:
        """Offer these slides; the one chosen stays chosen where it can."""
        chosen = self.current_source
        with QSignalBlocker(self.slides):
            self.slides.clear()
            for layer in layers:
                self.slides.addItem(layer.metadata[SLIDE_KEY]["name"], layer)
            if chosen in layers:
                self.slides.setCurrentIndex(layers.index(chosen))

    def choose_slide(self, layer: Layer) -> None:
        """Choose a slide."""
        with QSignalBlocker(self.slides):
            self.slides.setCurrentIndex(self.slides.findData(layer))

    def show_facts(self, slide: Slide | None) -> None:
        """Say what the chosen slide is; None for one that is shown as scanned only."""
        if slide is None:
            self.facts.setText("Shown as scanned only")
            self.facts.setToolTip("No view is computed of this slide; tick 10× or 20× to have one.")
            return
        rows, cols = slide.level_shapes[0]
        facts = [f"{slide.mpp:.3f} µm/px", f"{_thin(cols)} × {_thin(rows)} px"]
        if slide.objective_power:
            facts.insert(0, f"{slide.objective_power:g}×")
        self.facts.setText(" · ".join(fact.replace(" ", "\u00a0") for fact in facts))  # to break between facts only
        self.facts.setToolTip(plain_tip(f"{slide.path}\nRead by {slide.reader}"))

    def show_model(self, reference: str | Path, card: ModelCard | None) -> None:
        """List the models there are and mark the one in use.

        Parameters
        ----------
        reference : str or Path
            See `models.zoo.find_model`.
        card : ModelCard, optional
            The model's own, also where it is interpolated with its PSNR-trained one.
        """
        named = available_models()
        model, share = split_weight(reference)
        with QSignalBlocker(self.models):
            self.models.clear()
            self.models.addItems([*named])
            if model not in named:
                self.models.addItem(Path(model).stem, model)
            self.models.addItem(_OTHER_MODEL)
            own = self.models.findData(model)
            self.models.setCurrentIndex(own if own >= 0 else self.models.findText(model))
        about = "" if card is None else f"\n{card.name}: {card.training_data}\n{card.licence}\n{card.limits}"
        self.models.setToolTip(plain_tip(f"The network that computes the views (default: lite){about}"))
        mixed = card is not None and bool(card.psnr_model)
        self.fidelity.show_share((1.0 if share is None else share) if mixed else None)

    def tick(self, kinds: Collection[ViewKind]) -> None:
        """Tick the boxes of what is shown."""
        for kind, box in self.boxes.items():
            with QSignalBlocker(box):
                box.setChecked(kind in kinds)

    def _scan_models(self) -> None:
        """Notice new models: a training that ends in the background puts its model there."""
        changed = _time_of_change(user_folder())
        if changed != self._models_seen:
            self._models_seen = changed
            self.models_changed.emit()

    def _build_boxes(self) -> QWidget:
        self.boxes: dict[ViewKind, QCheckBox] = {}
        for kind in view_kinds():
            if not kind.box:
                continue
            box = QCheckBox(kind.box)
            box.setToolTip(kind.tip)
            box.toggled.connect(lambda wanted, kind=kind: self.kind_toggled.emit(kind, wanted))
            self.boxes[kind] = box
        return Flowing(*self.boxes.values())

    def _on_model(self, index: int) -> None:
        chosen = self._model_at(index)
        if chosen == _OTHER_MODEL:
            chosen, _ = QFileDialog.getOpenFileName(self, "Open a model", "", "Models (*.safetensors)")
        self.model_chosen.emit(chosen)

    def _on_share(self, share: float) -> None:
        model = self._model_at(self.models.currentIndex())
        self.model_chosen.emit(model if share == 1 else f"{model}{WEIGHT_SIGN}{share:g}")

    def _model_at(self, index: int) -> str:
        return str(self.models.itemData(index) or self.models.itemText(index))


def _time_of_change(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _thin(number: int) -> str:
    """Group digits by thin spaces at which no line breaks."""
    return f"{number:,}".replace(",", "\u202f")
