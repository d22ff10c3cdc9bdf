"""The perceptual network: VGG16 that has learnt to tell lesions from normal cells (Ma et al. 2020, § III-C).

It compares pictures by what it sees in them. Full width starts from torchvision's ImageNet weights where they can be
had; a narrower one is trained from scratch and small enough to ship and to train with on a CPU. The card says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from napari_pathsrgan.atomic_write import atomic_replace
from napari_pathsrgan.errors import CheckpointError, OptionError, OutputError
from napari_pathsrgan.models.card import Metric, Name, Words, read_header
from napari_pathsrgan.models.weights_file import refuse_unusable

CUTS: dict[str, int] = {"relu1_2": 4, "relu2_2": 9, "relu3_3": 16, "relu4_3": 23, "relu5_3": 30}
"""How many of VGG16's layers come before each cut; relu5_3 is the last, which the paper compares on."""

VGG16 = "vgg16"
SHIPPED = "cytology"
SHIPPED_FILE = Path(__file__).parent / "weights" / "perceptual" / "cytology.safetensors"
_CARD_KEY = "pathsrgan_perceptual_card"
_FULL_WIDTH = 64


class PerceptualCard(BaseModel):
    """What a perceptual network says of itself.

    Attributes
    ----------
    name : str
    width : int
        Channels of VGG16's first level: 64 as published.
    start : str
        "imagenet", the name of a local file, or "scratch".
    training_data, licence, command : str
        In words; the command makes the weights again.
    metrics : dict of str to float
        On pictures left out of training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    width: int = Field(default=_FULL_WIDTH, ge=1, le=2 * _FULL_WIDTH)
    start: Words = "scratch"
    training_data: Words = "unknown"
    licence: Words = "unknown"
    command: Words = "unknown"
    metrics: Annotated[dict[Name, Metric], Field(max_length=100)] = Field(default_factory=dict)


class FeatureNetwork(Protocol):
    """What a perceptual loss compares by."""

    def scaled(self, image: Tensor, cuts: Sequence[str]) -> list[Tensor]:
        """Compute feature maps of about root mean square 1 at some cuts, from (N, 3, H, W) float RGB, 0 to 1."""
        ...


class PerceptualNetwork(nn.Module):
    """VGG16's convolutions, and one answer from their mean: how likely the cell in the picture is to be a lesion's.

    Parameters
    ----------
    width : int
        Channels of the first level; 64 is VGG16.

    Raises
    ------
    OptionError
        If torchvision is not installed.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor

    def __init__(self, width: int = _FULL_WIDTH) -> None:
        super().__init__()
        try:
            from torchvision.models.vgg import cfgs, make_layers
        except ImportError as error:
            raise OptionError(
                "The perceptual network needs torchvision.", "Install it: pip install 'napari-pathsrgan[train]'."
            ) from error
        widths = [level if isinstance(level, str) else level * width // _FULL_WIDTH for level in cfgs["D"]]
        self.features = make_layers(widths)[:30]
        self.answer = nn.Linear(8 * width, 1)
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(3, 1, 1))
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1))
        self.register_buffer("scale", torch.ones(len(CUTS)))  # root mean square of the features at each cut

    def forward(self, picture: Tensor) -> Tensor:
        """(N, 3, H, W) float, RGB, 0 to 1 → logits (N,), positive for a lesion."""
        deepest = self.at(picture, ("relu5_3",))[0]
        answer: Tensor = self.answer(deepest.mean((2, 3)))
        return answer[:, 0]

    def at(self, picture: Tensor, cuts: Sequence[str]) -> list[Tensor]:
        """Give the feature maps at some cuts, in the order of their depth.

        Parameters
        ----------
        picture : (N, 3, H, W) float
            RGB, 0 to 1.
        cuts : sequence of str
            Names of `CUTS`.

        Returns
        -------
        list of (N, C, h, w)
        """
        wanted, found = {CUTS[cut] for cut in cuts}, []
        x = (picture - self.mean) / self.std
        for index, layer in enumerate(self.features[: max(wanted)], 1):
            x = layer(x)
            if index in wanted:
                found.append(x)
        return found

    def scaled(self, image: Tensor, cuts: Sequence[str]) -> list[Tensor]:
        """Feature maps at the cuts, divided by their usual size: a weight means the same for every network."""
        ordered = [index for index, cut in enumerate(CUTS) if cut in cuts]
        maps = self.at(image, cuts)
        return [features / self.scale[index] for index, features in zip(ordered, maps, strict=True)]

    def calibrate(self, pictures: Tensor) -> None:
        """Set each cut's scale to the root mean square of its features on (N, 3, H, W) typical pictures."""
        with torch.no_grad():
            for index, features in enumerate(self.at(pictures, tuple(CUTS))):
                self.scale[index] = features.float().pow(2).mean().sqrt().clamp_min(1e-6)

    def frozen(self) -> PerceptualNetwork:
        """Return itself, never to learn again."""
        return self.eval().requires_grad_(False)


def start_from_imagenet(network: PerceptualNetwork, file: Path | None) -> None:
    """Load VGG16's ImageNet weights, torchvision's own or a local state dict; never anything that could run code.

    Parameters
    ----------
    network : PerceptualNetwork
        Of full width.
    file : Path, optional
        A state dict as torchvision saves it; downloaded by torchvision without one.

    Raises
    ------
    CheckpointError
        If they can't be had or are another network's.
    """
    try:
        if file is None:
            from torchvision.models import VGG16_Weights

            state = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
        own = {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}
        network.features.load_state_dict(own)
    except Exception as error:  # no network, no file, damaged bytes, other shapes: each fails in its own way
        source = "torchvision's download" if file is None else str(file)
        raise CheckpointError(
            f"VGG16's ImageNet weights can't be had from {source}: {error}.",
            "Give torchvision's vgg16-397923af.pth as a local file, or train from scratch.",
        ) from error


def save_perceptual(network: PerceptualNetwork, card: PerceptualCard, path: Path) -> None:
    """Write weights (float16: they are compared, not trained further) and card, whole or not at all.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_replace(path) as partial:
            save_file(tensors, partial, metadata={_CARD_KEY: card.model_dump_json()})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} can't be written: {error}.", "Free some space or choose another folder.") from error


def load_perceptual(reference: str | Path = SHIPPED) -> tuple[PerceptualNetwork, PerceptualCard]:
    """Read a perceptual network.

    Parameters
    ----------
    reference : str or Path
        "cytology", which ships; "vgg16", in full width with the ImageNet weights that torchvision downloads; or a file
        of `save_perceptual`.

    Returns
    -------
    PerceptualNetwork
        Frozen, float32. That of "vgg16" is not calibrated.
    PerceptualCard

    Raises
    ------
    CheckpointError
        If the file is absent, damaged or something else, or can't be downloaded.
    OptionError
        If torchvision is not installed.
    """
    if str(reference) == VGG16:
        return _load_vgg16()
    path = SHIPPED_FILE if str(reference) == SHIPPED else Path(reference)
    metadata = read_header(path).get("__metadata__")
    text = metadata.get(_CARD_KEY) if isinstance(metadata, dict) else None
    try:
        card = PerceptualCard.model_validate_json(text or "")
        network = PerceptualNetwork(card.width)
        tensors = load_file(path)
        refuse_unusable(path, {name: value.numpy() for name, value in tensors.items()})
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (ValidationError, SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(
            f"{path.name} is no perceptual network of napari-pathsrgan.",
            "Give a file made by `pathsrgan models perceptual`, or leave the option out.",
        ) from error
    return network.frozen(), card


def _load_vgg16() -> tuple[PerceptualNetwork, PerceptualCard]:
    network = PerceptualNetwork()
    start_from_imagenet(network, None)
    card = PerceptualCard(
        name=VGG16, start="imagenet", training_data="ImageNet-1k (torchvision's VGG16_Weights.IMAGENET1K_V1)"
    )
    return network.frozen(), card
