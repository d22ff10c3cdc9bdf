"""Settings that most users never touch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QSpinBox, QWidget

from napari_pathsrgan.errors import OutputError
from napari_pathsrgan.inference.cache_folder import default_folder, remember_cache_settings
from napari_pathsrgan.inference.tile_service import DEFAULT_MEMORY_BYTES
from napari_pathsrgan.plugin.widgets.confirm import confirm
from napari_pathsrgan.plugin.widgets.narrow_layout import Flowing, Section, combo_box, narrow_form
from napari_pathsrgan.plugin.widgets.plain_text import plain_tip

if TYPE_CHECKING:
    from napari_pathsrgan.inference.tile_service import ComputeSettings

MIB, GB = 2**20, 10**9


class AdvancedPanel(Section):
    """Device, precision, memory, disk.

    Parameters
    ----------
    settings : ComputeSettings
        What holds at first.

    Attributes
    ----------
    settings_changed : Signal(ComputeSettings)
        Device, precision or disk: the process has to be started anew.
    memory_changed : Signal(object)
        Bytes.
    clear_requested : Signal()
        The user has confirmed that all cached tiles be removed.
    not_remembered : Signal(OutputError)
        Whether tiles are cached could not be remembered for the next session.
    opened : Signal()
        The panel was opened.
    """

    settings_changed = Signal(object)
    memory_changed = Signal(object)
    clear_requested = Signal()
    not_remembered = Signal(object)
    opened = Signal()

    def __init__(self, settings: ComputeSettings) -> None:
        super().__init__("Advanced")
        self._settings = settings
        self._folder = settings.cache_folder or default_folder()
        self.device = combo_box(
            "Where the network runs.\nauto: a graphics card if there is one, else the CPU (default)"
        )
        self.device.setEditable(True)
        self.device.addItems(["auto", "cpu", "cuda", "mps"])
        self.device.setCurrentText(settings.device)
        self.precision = combo_box(
            "How numbers are stored while computing.\n"
            "auto: what is fastest here and within one grey level of fp32 (default);\n"
            "any other is computed by torch.\n"
            "int8: a preview by OpenVINO, sooner, a few grey levels off; how far is said"
        )
        self.precision.addItems(["auto", "fp32", "bf16", "fp16", "int8"])
        self.precision.setCurrentText(settings.precision)
        self.memory = QSpinBox()
        self.memory.setRange(64, 65536)
        self.memory.setSingleStep(128)
        self.memory.setValue(settings.memory_bytes // MIB)
        self.memory.setSuffix(" MiB")
        self.memory.setToolTip(
            plain_tip(
                f"Most memory that tiles may take, MiB (default {DEFAULT_MEMORY_BYTES // MIB});\n"
                "what is in sight always stays"
            )
        )
        self.cache_on_disk = QCheckBox("cache tiles")
        self.cache_on_disk.setChecked(settings.cache_folder is not None)
        self.clear_disk = QPushButton("Clear")
        panel = QWidget()
        form = narrow_form(panel)
        form.addRow("Device", self.device)
        form.addRow("Precision", self.precision)
        form.addRow("Memory", self.memory)
        form.addRow("Disk", Flowing(self.cache_on_disk, self.clear_disk))
        self.addWidget(panel)
        self.device.activated.connect(self._emit_settings)
        self.precision.activated.connect(self._emit_settings)
        self.cache_on_disk.clicked.connect(self._set_caching)
        self.memory.valueChanged.connect(lambda mib: self.memory_changed.emit(mib * MIB))
        self.clear_disk.clicked.connect(self._confirm_clear)
        self.toggled.connect(lambda open_: self.opened.emit() if open_ else None)
        self.show_disk_use(None)

    def show_disk_use(self, n_bytes: int | None) -> None:
        """Show how much is stored; None where that is not known."""
        self._stored_bytes = n_bytes or 0
        self.clear_disk.setEnabled(bool(n_bytes))
        self.clear_disk.setToolTip(
            "Nothing is stored" if not n_bytes else f"Remove the {n_bytes / MIB:.3g} MiB of cached tiles from the disk"
        )
        self.cache_on_disk.setToolTip(
            plain_tip(
                "A slide opened again is sharp at once (default: off).\n"
                f"Stored in {self._folder}, readable by you alone, up to {self._settings.cache_bytes / GB:g} GB"
            )
        )

    def _set_caching(self, keep: bool) -> None:
        """Cache tiles on disk from now on, once the user agrees, or no longer; remembered for the next session."""
        if keep and not confirm(
            self,
            "Cache computed tiles on disk?",
            f"Computed tiles show patients' cells. They would be stored in {self._folder} on this computer, "
            f"readable by you alone, up to {self._settings.cache_bytes / GB:g} GB, until you clear them. Store them?",
        ):
            self.cache_on_disk.setChecked(False)
            return
        try:
            remember_cache_settings(keep)
        except OutputError as error:
            self.not_remembered.emit(error)
        self._emit_settings()

    def _confirm_clear(self) -> None:
        question = (
            f"Remove the {self._stored_bytes / MIB:.3g} MiB of cached tiles of all slides from {self._folder}? "
            "Nothing else is removed, and they can be computed again."
        )
        if confirm(self, "Clear cached tiles?", question):
            self.clear_requested.emit()

    def _emit_settings(self, _value: object = None) -> None:
        settings = replace(
            self._settings,
            device=self.device.currentText().strip() or "auto",
            precision=self.precision.currentText(),
            memory_bytes=self.memory.value() * MIB,
            cache_folder=self._folder if self.cache_on_disk.isChecked() else None,
        )
        if settings != self._settings:
            self._settings = settings
            self.settings_changed.emit(settings)
