"""Commands about models: list, show, import, blend, perceptual."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

from napari_pathsrgan.commands.command import POSITIONAL, Command, CommandGroup, ModelName, Options, PathTo
from napari_pathsrgan.commands.option_text import option_words
from napari_pathsrgan.commands.output import columns, print_result, progress
from napari_pathsrgan.text import printable
from napari_pathsrgan.training.lesion_config import LesionConfig

GROUP = CommandGroup(
    "models", "List, show and blend models, import the authors' checkpoint, train a perceptual network."
)


def list_models(_: Options, as_json: bool) -> None:
    """List the models that ship and your own."""
    from napari_pathsrgan.errors import PathSRGANError
    from napari_pathsrgan.models.card import read_card
    from napari_pathsrgan.models.zoo import available_models, user_folder

    records: list[dict[str, Any]] = []
    for name, path in available_models().items():
        record: dict[str, Any] = {"name": name, "file": str(path)}
        try:
            card = read_card(path)
            record |= {"preset": card.preset, "mpp_in": card.mpp_in, "mpp_hr": card.mpp_hr, "licence": card.licence}
        except PathSRGANError as error:
            record["problem"] = str(error)
        records.append(record)
    rows = [(r["name"], r.get("problem") or f"{r['preset']}, {r['mpp_in']:g} → {r['mpp_hr']:g} µm/px") for r in records]
    print_result(
        records, [*(columns(rows) if rows else ["No models."]), f"Your own belong in {user_folder()}"], as_json
    )


class ShowOptions(Options):
    """Which model.

    Attributes
    ----------
    name : str
        A name from the list, a .safetensors file, or a training's folder.
    """

    name: Annotated[str, POSITIONAL, ModelName()]


def show(options: ShowOptions, as_json: bool) -> None:
    """Show a model's card: what it was trained on, how well it does, what it must not be used for."""
    from napari_pathsrgan.models.zoo import model_card

    record = model_card(options.name).model_dump()
    print_result(record, columns([(key, _in_words(value)) for key, value in record.items()]), as_json)


class ImportOptions(Options):
    """Which checkpoint, and what it becomes.

    Attributes
    ----------
    file : Path
        A state dict saved by torch, such as G_9_100.pth.
    out : Path
        The .safetensors file to write; it must not exist.
    preset : str
        The network the weights belong to.
    name : str, optional
        Name on the card; the file's by default.
    """

    file: Annotated[Path, POSITIONAL, PathTo("file")]
    out: Annotated[Path, PathTo("new")]
    preset: str = "authors"
    name: str | None = None


def import_model(options: ImportOptions, as_json: bool) -> None:
    """Turn the authors' checkpoint (.pth) into a model file of ours; nothing in it is run."""
    from napari_pathsrgan.models.checkpoint import import_checkpoint

    card = import_checkpoint(options.file, options.out, options.preset, options.name)
    print_result(
        {"file": str(options.out)} | card.model_dump(), [f"Written: {options.out}", f"Licence: {card.licence}"], as_json
    )


class BlendOptions(Options):
    """Which models are mixed, and how much of each.

    Attributes
    ----------
    psnr_model : str
        A model: what a weight of 0 gives.
    gan_model : str
        Another: what a weight of 1 gives.
    weight : float
        From 0 to 1.
    out : Path
        The .safetensors file to write; it must not exist.
    """

    psnr_model: Annotated[str, POSITIONAL, ModelName()]
    gan_model: Annotated[str, POSITIONAL, ModelName()]
    weight: float
    out: Annotated[Path, PathTo("new")]


def blend(options: BlendOptions, as_json: bool) -> None:
    """Mix two models of one network, one trained on pixels alone and one trained adversarially from it."""
    from napari_pathsrgan.models.blending import write_blend
    from napari_pathsrgan.models.checkpoint import refuse_existing
    from napari_pathsrgan.models.zoo import find_model

    refuse_existing(options.out)
    card = write_blend(find_model(options.psnr_model), find_model(options.gan_model), options.weight, options.out)
    print_result({"file": str(options.out)} | card.model_dump(), [f"Written: {options.out}"], as_json)


class PerceptualOptions(LesionConfig, Options):
    """How a perceptual network is trained.

    Attributes
    ----------
    out : Path
        The .safetensors file to write; it must not exist.
    name : str
        Name on its card.
    licence : str
        Of the weights, as the licence of the images wants it.
    """

    out: Annotated[Path, PathTo("new")]
    name: str = "cytology"
    licence: str = "unknown: see the licence of the images it was trained on"


def perceptual(options: PerceptualOptions, as_json: bool) -> None:
    """Teach VGG16 to tell lesions from normal nuclei: the perceptual network that `train` compares images with."""
    from napari_pathsrgan.models.card import MOST_NAME, MOST_TEXT
    from napari_pathsrgan.models.checkpoint import refuse_existing
    from napari_pathsrgan.models.perceptual import save_perceptual
    from napari_pathsrgan.training.lesions import train_perceptual

    refuse_existing(options.out)
    config = LesionConfig(**{name: getattr(options, name) for name in LesionConfig.model_fields})
    with progress("Learning") as report:
        network, card = train_perceptual(config, report)
    words = option_words(options, options.usual({}), LesionConfig.model_fields, bare_paths=True)
    command = shlex.join(["pathsrgan", "models", "perceptual", *words])
    said = {"name": printable(options.name, MOST_NAME), "licence": printable(options.licence, MOST_TEXT)}
    card = card.model_copy(update={**said, "command": printable(command, MOST_TEXT)})
    save_perceptual(network, card, options.out)
    rows = columns([(key, f"{value:.4g}") for key, value in card.metrics.items()])
    print_result({"file": str(options.out)} | card.model_dump(), [f"Written: {options.out}", *rows], as_json)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {part:.4g}" if isinstance(part, float) else f"{key} {part}" for key, part in value.items()
        )
    return str(value)


LIST = Command(name="models list", options=Options, run=list_models)
SHOW = Command(name="models show", options=ShowOptions, run=show)
IMPORT = Command(name="models import", options=ImportOptions, run=import_model)
BLEND = Command(name="models blend", options=BlendOptions, run=blend)
PERCEPTUAL = Command(name="models perceptual", options=PerceptualOptions, run=perceptual, extra="train")
