"""Verbs about models: list, show, import."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from cyclopts import App

from napari_pathsrgan.cli.report import Json, columns, tell

app = App(name="models", help="List and show models, and import the authors' checkpoint.")


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
    file: Path, /, *, out: Path, preset: Literal["authors"] = "authors", name: str | None = None, json: Json = False
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
    from napari_pathsrgan.models.checkpoint import import_authors

    importers = {"authors": import_authors}
    card = importers[preset](file, out, name)
    tell({"file": str(out)} | card.model_dump(), [f"Written: {out}", f"Licence: {card.licence}"], json)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {part:.4g}" if isinstance(part, float) else f"{key} {part}" for key, part in value.items()
        )
    return str(value)
