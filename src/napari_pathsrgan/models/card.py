"""What a checkpoint says of itself. Read without torch, so that a window can list models at once."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from napari_pathsrgan.bounded_json import open_regular_file, parse_json
from napari_pathsrgan.errors import CardMismatchError, CheckpointError
from napari_pathsrgan.models.architecture import ARCHITECTURES, GRID_STEP_LR_PX
from napari_pathsrgan.text import is_printable, printable

CARD_KEY = "pathsrgan_card"
MOST_NAME, MOST_TEXT = 200, 10_000
"""Characters of a name, and of any other text of a card."""
_LARGEST_HALO = 512
_LARGEST_HEADER, _MOST_HEADER_VALUES, _LARGEST_CARD = 4 << 20, 500_000, 256 << 10


def _refuse_unprintable(text: str) -> str:
    if not is_printable(text):
        raise ValueError("it holds control characters")
    return text


Name = Annotated[str, Field(max_length=MOST_NAME), AfterValidator(_refuse_unprintable)]
Words = Annotated[str, Field(max_length=MOST_TEXT), AfterValidator(_refuse_unprintable)]
Option = bool | Annotated[int, Field(ge=-(2**31), lt=2**31)] | Annotated[float, Field(allow_inf_nan=False)] | Name
Metric = Annotated[float, Field(allow_inf_nan=False)]


class ModelCard(BaseModel):
    """The card of a set of weights; stored in the safetensors header of the same file.

    Attributes
    ----------
    name : str
        What the user calls it.
    preset, preset_options
        The network and its options, see `models.architectures`.
    mpp_in, mpp_mr, mpp_hr : float
        Pixel size of the input, the 10× and the 20× image, µm.
    mpp_scan : float
        Pixel size of the scans the weights were made for, µm: scans coarser than this by 15 % are refused.
    halo_lr_px : int
        Context a tile takes on each side, input pixels; `checkpoint.load_generator` compares it with the network's.
    training_data, licence, command, limits : str
        In words for the user; the command makes the weights again.
    psnr_model : str
        Name of the model of a pixel loss that this one was trained from, if the two may be blended.
    perceptual : str
        Name of the perceptual network it was trained by, if any.
    metrics : dict
        Measured figures by name, on images left out of training.
    date : str
        ISO 8601.
    weights_hash : str
        BLAKE2b of all tensors in the order of their names; identifies the model in caches and stores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: Name
    preset: Name
    preset_options: Annotated[dict[Name, Option], Field(max_length=16)] = Field(default_factory=dict)
    mpp_in: float = Field(default=1.172, gt=1e-9, le=1000, allow_inf_nan=False)
    mpp_mr: float = Field(default=0.586, gt=1e-9, le=1000, allow_inf_nan=False)
    mpp_hr: float = Field(default=0.293, gt=1e-9, le=1000, allow_inf_nan=False)
    mpp_scan: float = Field(default=1.465, gt=1e-9, le=1000, allow_inf_nan=False)
    halo_lr_px: int = Field(default=32, ge=0, le=_LARGEST_HALO)
    training_data: Words = "unknown"
    licence: Words = "unknown"
    command: Words = "unknown"
    limits: Words = "Computed pictures. Not for diagnosis."
    psnr_model: Name = Field(default="", validation_alias="faithful", serialization_alias="faithful")
    perceptual: Name = ""
    metrics: Annotated[dict[Name, Metric], Field(max_length=100)] = Field(default_factory=dict)
    date: Name = ""
    weights_hash: Name = ""

    @field_validator("halo_lr_px")
    @classmethod
    def _on_the_grid_of_the_network(cls, halo_lr_px: int, info: ValidationInfo) -> int:
        name = info.data.get("preset")
        if halo_lr_px % GRID_STEP_LR_PX and name in ARCHITECTURES.names():
            step = ARCHITECTURES.find(name).alignment_lr_px
            if halo_lr_px % step:
                raise ValueError(f"a multiple of {step} is wanted")
        return halo_lr_px

    def check_ratios(self) -> None:
        """Refuse a card whose pixel sizes are not those of a ×2, ×2 network.

        Raises
        ------
        CardMismatchError
            If the 10× pixels are not half and the 20× pixels not a quarter of the input's, to 1 %.
        """
        for mpp, factor, view in ((self.mpp_mr, 2, "10×"), (self.mpp_hr, 4, "20×")):
            if abs(mpp * factor / self.mpp_in - 1) > 0.01:
                raise CardMismatchError(
                    f"The model “{self.name}” says it turns {self.mpp_in:g} µm/px into {mpp:g} µm/px at {view}, "
                    f"but its network enlarges by {factor}.",
                    "Ask whoever made the model for a corrected card.",
                )


def read_header(path: Path) -> dict[str, Any]:
    """Read a safetensors file's JSON header without its tensors.

    Raises
    ------
    CheckpointError
        If the file is absent or no safetensors file.
    """
    try:
        with open_regular_file(path) as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
            if not 2 <= length <= _LARGEST_HEADER:
                raise ValueError("no safetensors header")
            header = parse_json(file.read(length), _MOST_HEADER_VALUES)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"There is no model file {path}.", "Check the path, or list models with `pathsrgan models`."
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is not a model file of napari-pathsrgan.",
            "Give a .safetensors file; turn the authors' .pth into one with `pathsrgan models import`.",
        ) from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path.name} is not a model file of napari-pathsrgan.", "Give a .safetensors file.")
    return header


def read_card(path: Path) -> ModelCard:
    """Read and check the card of a model file.

    Parameters
    ----------
    path : Path
        A .safetensors file.

    Returns
    -------
    ModelCard
        The card; its hash is not compared with the tensors, since they are not read.

    Raises
    ------
    CheckpointError
        If the file has no card, or one of another version.
    CardMismatchError
        If the card contradicts the network.
    """
    metadata = read_header(path).get("__metadata__")
    text = metadata.get(CARD_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise CheckpointError(
            f"{path.name} holds tensors but no card, so their pixel size and network are unknown.",
            "If they are the authors' weights, import them with `pathsrgan models import`.",
        )
    if len(text) > _LARGEST_CARD:
        raise CheckpointError(f"The card of {path.name} is larger than any card is.", "Ask who made it for another.")
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = printable(".".join(map(str, first["loc"])), MOST_NAME)
        raise CheckpointError(
            f"The card of {path.name} does not fit this version: {field}: {first['msg']}.",
            "Use the version of napari-pathsrgan that wrote it, or export the model again.",
        ) from error
    card.check_ratios()
    return card
