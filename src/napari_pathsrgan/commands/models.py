"""Verbs about models: list, show, import, blend, perceptual."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from napari_pathsrgan.commands.options import options_again
from napari_pathsrgan.commands.report import Json, columns, progress, tell
from napari_pathsrgan.text import printable
from napari_pathsrgan.training.lesion_config import LesionConfig

app = App(
    name="models", help="List, show and blend models, import the authors' checkpoint, train a perceptual network."
)

_USUAL_LESIONS = LesionConfig()


@app.command(name="list")
def list_models(*, json: Json = False) -> None:
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
    tell(records, [*(columns(rows) if rows else ["No models."]), f"Your own belong in {user_folder()}"], json)


@app.command
def show(name: str, /, *, json: Json = False) -> None:
    """Show a model's card: what it was trained on, how well it does, what it must not be used for.

    Parameters
    ----------
    name
        A name from the list, a .safetensors file, or a training's folder.
    """
    from napari_pathsrgan.models.zoo import model_card

    record = model_card(name).model_dump()
    tell(record, columns([(key, _in_words(value)) for key, value in record.items()]), json)


@app.command(name="import")
def import_model(
    file: Path, /, *, out: Path, preset: str = "authors", name: str | None = None, json: Json = False
) -> None:
    """Turn the authors' checkpoint (.pth) into a model file of ours; nothing in it is run.

    Parameters
    ----------
    file
        A state dict saved by torch, such as G_9_100.pth.
    out
        The .safetensors file to write; it must not exist.
    preset
        The network the weights belong to.
    name
        Name on the card; the file's by default.
    """
    from napari_pathsrgan.models.checkpoint import import_checkpoint

    card = import_checkpoint(file, out, preset, name)
    tell({"file": str(out)} | card.model_dump(), [f"Written: {out}", f"Licence: {card.licence}"], json)


@app.command
def blend(psnr_model: str, gan_model: str, /, *, weight: float, out: Path, json: Json = False) -> None:
    """Mix two models of one network, one trained on pixels alone and one trained adversarially from it.

    Parameters
    ----------
    psnr_model
        A model: what a weight of 0 gives.
    gan_model
        Another: what a weight of 1 gives.
    weight
        From 0 to 1.
    out
        The .safetensors file to write; it must not exist.
    """
    from napari_pathsrgan.models.blending import write_blend
    from napari_pathsrgan.models.checkpoint import refuse_existing
    from napari_pathsrgan.models.zoo import find_model

    refuse_existing(out)
    card = write_blend(find_model(psnr_model), find_model(gan_model), weight, out)
    tell({"file": str(out)} | card.model_dump(), [f"Written: {out}"], json)


@app.command
def perceptual(
    *,
    config: Annotated[LesionConfig, Parameter(name="*")] = _USUAL_LESIONS,
    out: Path,
    name: str = "cytology",
    licence: str = "unknown: see the licence of the pictures it was trained on",
    json: Json = False,
) -> None:
    """Teach VGG16 to tell lesions from normal nuclei: the perceptual network that `train` compares pictures with.

    Parameters
    ----------
    out
        The .safetensors file to write; it must not exist.
    name
        Name on its card.
    licence
        Of the weights, as the licence of the pictures wants it.
    """
    from napari_pathsrgan.models.card import MOST_NAME, MOST_TEXT
    from napari_pathsrgan.models.checkpoint import refuse_existing
    from napari_pathsrgan.models.perceptual import save_perceptual
    from napari_pathsrgan.training.lesions import train_perceptual

    refuse_existing(out)
    with progress("Learning") as told:
        network, card = train_perceptual(config, told)
    command = shlex.join(["pathsrgan", "models", "perceptual", *options_again(config)])
    said = {"name": printable(name, MOST_NAME), "licence": printable(licence, MOST_TEXT)}
    card = card.model_copy(update={**said, "command": printable(command, MOST_TEXT)})
    save_perceptual(network, card, out)
    rows = columns([(key, f"{value:.4g}") for key, value in card.metrics.items()])
    tell({"file": str(out)} | card.model_dump(), [f"Written: {out}", *rows], json)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {part:.4g}" if isinstance(part, float) else f"{key} {part}" for key, part in value.items()
        )
    return str(value)
