"""Weights on disk: what comes back, and what is refused in words with nothing left behind."""

from __future__ import annotations

import contextlib
import json
import pickle
import resource
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from napari_pathsrgan.errors import CardMismatchError, CheckpointError, OutputError
from napari_pathsrgan.models.architectures.authors import rename_authors
from napari_pathsrgan.models.build import build_generator
from napari_pathsrgan.models.card import CARD_KEY, ModelCard, read_card
from napari_pathsrgan.models.checkpoint import (
    hash_weights,
    import_checkpoint,
    load_generator,
    save_generator,
)
from napari_pathsrgan.models.generator import Generator

from .authors_network import AuthorsNetwork, lively

TINY = {"width": 8, "blocks1": 1, "features": 8, "blocks2": 1}


def tiny() -> Generator:
    torch.manual_seed(0)
    return build_generator("lite", **TINY)


def tiny_card(**changes: Any) -> ModelCard:
    return ModelCard(name="tiny", preset="lite", preset_options=TINY, **changes)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_generator(tiny(), tiny_card(), path)
    return path


@pytest.fixture(scope="module")
def reference() -> AuthorsNetwork:
    return lively()


def rewrite_card(path: Path, change: Callable[[dict[str, Any]], None] | None, key: str = CARD_KEY) -> None:
    """Change what the card in a file says, leaving its tensors."""
    tensors = load_file(path)
    card = json.loads(read_card(path).model_dump_json())
    if change:
        change(card)
    save_file(tensors, path, metadata={key: json.dumps(card)} if change else {})


# --- there and back ---------------------------------------------------------------------------------------------


def test_round_trip(saved: Path) -> None:
    network, card = load_generator(saved)
    assert not network.training
    for name, tensor in tiny().state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert card.weights_hash == hash_weights(tiny().state_dict())
    assert card == read_card(saved)
    assert card.model_copy(update={"weights_hash": ""}) == tiny_card()


def test_half_precision_weights_are_stored_in_float32(tmp_path: Path) -> None:
    network = tiny()
    network.cast_stages(torch.bfloat16)
    save_generator(network, tiny_card(), tmp_path / "m.safetensors")
    loaded, _ = load_generator(tmp_path / "m.safetensors")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}


def test_saving_again_replaces_the_file_and_leaves_no_other(saved: Path) -> None:
    other = tiny()
    torch.nn.init.ones_(other.stage1.head.bias)
    card = save_generator(other, tiny_card(), saved)
    assert load_generator(saved)[1].weights_hash == card.weights_hash != hash_weights(tiny().state_dict())
    assert list(saved.parent.iterdir()) == [saved]


def test_weights_kept_with_the_channels_last_are_the_same_when_read(tmp_path: Path) -> None:
    network = tiny()
    wanted = {name: value.clone() for name, value in network.state_dict().items()}
    network.to(memory_format=torch.channels_last)  # as a training and an engine keep them
    save_generator(network, tiny_card(), tmp_path / "last.safetensors")
    read = load_generator(tmp_path / "last.safetensors")[0].state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in read.items())


def test_hash_tells_names_shapes_and_values_apart() -> None:
    base = {"a": torch.arange(6.0), "b": torch.zeros(2)}
    others = [
        {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2)},
        {"a": torch.arange(6.0), "c": torch.zeros(2)},
        {"a": torch.arange(6.0) + 1e-6, "b": torch.zeros(2)},
        {"a": torch.arange(6.0).double(), "b": torch.zeros(2)},
    ]
    assert hash_weights(base) == hash_weights(dict(reversed(base.items())))
    assert len({hash_weights(each) for each in (base, *others)}) == 5


# --- refused on loading -----------------------------------------------------------------------------------------


def _flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x40
    path.write_bytes(bytes(data))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _cut_in_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _remove(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _no_card(path: Path) -> None:
    rewrite_card(path, None)


def _list_for_metadata(path: Path) -> None:
    header = json.dumps({"__metadata__": ["card"]}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def _endless_nesting(path: Path) -> None:
    header = b"[" * 200_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def _newer_card(path: Path) -> None:
    rewrite_card(path, lambda card: card.update(colour_space="XYZ"))


def _unknown_preset(path: Path) -> None:
    rewrite_card(path, lambda card: card.update(preset="srgan"))


def _wider_network(path: Path) -> None:
    rewrite_card(path, lambda card: card["preset_options"].update(width=16))


def _other_preset(path: Path) -> None:
    rewrite_card(path, lambda card: card.update(preset="paper", preset_options={"width": 8}))


def _odd_option(path: Path) -> None:
    rewrite_card(path, lambda card: card["preset_options"].update(width="48"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip_last_byte, "not those its card was written for"),
        (_truncate, "is damaged"),
        (_cut_in_header, "is not a model file"),
        (_pickle, "is not a model file"),
        (_empty, "is not a model file"),
        (_folder, "is not a model file"),
        (_remove, "There is no model file"),
        (_no_card, "no card"),
        (_list_for_metadata, "no card"),
        (_endless_nesting, "is not a model file"),
        (_newer_card, "colour_space"),
        (_unknown_preset, "srgan"),
        (_wider_network, "another network than “lite”"),
        (_other_preset, "another network than “paper”"),
        (_odd_option, "width"),
    ],
)
def test_a_bad_file_is_refused_in_words(saved: Path, damage: Callable[[Path], None], words: str) -> None:
    damage(saved)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_generator(saved)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sizes",
    [{"mpp_mr": 0.5}, {"mpp_hr": 0.586}, {"mpp_in": 1.465}, {"mpp_in": 1e-6}],
    ids="-".join,
)
def test_a_card_whose_pixel_sizes_contradict_the_network(saved: Path, sizes: dict[str, float]) -> None:
    rewrite_card(saved, lambda card: card.update(sizes))
    with pytest.raises(CardMismatchError, match="µm/px"):
        load_generator(saved)


@pytest.mark.parametrize(
    ("preset", "halo_lr_px", "fits"), [("lite", 17, True), ("paper", 17, False), ("paper", 24, True)]
)
def test_poolings_ask_for_a_context_of_whole_eights(preset: str, halo_lr_px: int, fits: bool) -> None:
    with contextlib.nullcontext() if fits else pytest.raises(ValidationError, match="multiple of 8"):
        ModelCard(name="x", preset=preset, halo_lr_px=halo_lr_px)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_pixel_size_that_is_none(saved: Path, value: float) -> None:
    rewrite_card(saved, lambda card: card.update(mpp_in=value, mpp_mr=value, mpp_hr=value))
    with pytest.raises(CheckpointError, match="mpp_in"):
        load_generator(saved)


# --- writing fails ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond a kilobyte; only for as long as needed, since a log is a file, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    with full_disk(), pytest.raises(OutputError, match=r"m\.safetensors can't be written"):
        save_generator(tiny(), tiny_card(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="Read-only"):
        save_generator(tiny(), tiny_card(), tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(OutputError, match="can't be written"):
        save_generator(tiny(), tiny_card(), tmp_path / "models" / "m.safetensors")


# --- the authors' checkpoint ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "module."])
def test_authors_checkpoint_gives_the_authors_pixels(tmp_path: Path, reference: AuthorsNetwork, prefix: str) -> None:
    source, destination = tmp_path / "G_9_100.pth", tmp_path / "authors.safetensors"
    torch.save({prefix + name: tensor for name, tensor in reference.state_dict().items()}, source)
    written = import_checkpoint(source, destination, "authors")
    network, card = load_generator(destination)
    assert card == written
    assert card.preset == "authors"

    torch.manual_seed(5)
    lr = torch.rand(1, 3, 24, 16)
    with torch.inference_mode():
        pairs = list(zip(network(lr), reference(lr), strict=True))
    for computed, wanted in pairs:
        assert wanted.std() > 0.1  # a picture, not a constant
        assert (computed - wanted).abs().max() <= 1e-4


def test_every_tensor_of_the_authors_has_a_name_of_ours(reference: AuthorsNetwork) -> None:
    with torch.device("meta"):
        own = build_generator("authors").state_dict()
    renamed = {rename_authors(name): tensor.shape for name, tensor in reference.state_dict().items()}
    assert renamed == {name: tensor.shape for name, tensor in own.items()}
    assert rename_authors("stage3_out.weight") is None
    assert rename_authors("backbone.stage1_out.weight") is None


def test_authors_weights_inside_a_training_state(tmp_path: Path, reference: AuthorsNetwork) -> None:
    torch.save({"state_dict": reference.state_dict()}, tmp_path / "G.pth")
    card = import_checkpoint(tmp_path / "G.pth", tmp_path / "authors.safetensors", "authors", name="theirs")
    assert card.name == "theirs"
    assert card.weights_hash


class _RunsCode:
    """Pickles into a call that leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)


def _code_in_torch_file(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(3), "trap": _RunsCode(path.with_name("ran"))}, path)


def _code_in_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(_RunsCode(path.with_name("ran"))))


def _plain_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps([1, 2, 3]))


def _weights_in_a_list(path: Path) -> None:
    torch.save([torch.zeros(3)], path)


def _numbered_weights(path: Path) -> None:
    torch.save({0: torch.zeros(3)}, path)


def _no_weights(path: Path) -> None:
    torch.save({}, path)


def _text(path: Path) -> None:
    path.write_text("S'weights'\n.")


def _half_a_file(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(2000)}, path)
    path.write_bytes(path.read_bytes()[:3000])


def _legacy_broken(path: Path) -> None:
    torch.save({"stage1_out.weight": torch.zeros(20)}, path, _use_new_zipfile_serialization=False)
    data = bytearray(path.read_bytes())
    for index in range(150, len(data), 7):
        data[index] ^= 0x15
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_code_in_torch_file, "run code"),
        (_code_in_pickle, "run code"),
        (_plain_pickle, "can't be loaded as plain weights"),
        (_text, "can't be loaded as plain weights"),
        (_half_a_file, "can't be loaded as plain weights"),
        (_legacy_broken, "can't be loaded as plain weights"),
        (_weights_in_a_list, "holds no named weights"),
        (_numbered_weights, "holds no named weights"),
        (_no_weights, "holds no named weights"),
        (_empty, "can't be loaded as plain weights"),
    ],
)
def test_what_is_not_weights_is_refused_and_never_run(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    source, destination = tmp_path / "evil.pth", tmp_path / "out.safetensors"
    make(source)
    with pytest.raises(CheckpointError, match=words):
        import_checkpoint(source, destination, "authors")
    assert list(tmp_path.iterdir()) == [source]  # neither a model nor the trace of code that ran


def test_the_trap_would_have_run(tmp_path: Path) -> None:
    """Without this the test above could not fail."""
    _code_in_pickle(tmp_path / "evil.pth")
    pickle.loads((tmp_path / "evil.pth").read_bytes())
    assert (tmp_path / "ran").exists()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no file"):
        import_checkpoint(tmp_path / "none.pth", tmp_path / "out.safetensors", "authors")


def test_another_network_is_refused_with_the_tensor_at_fault(tmp_path: Path, reference: AuthorsNetwork) -> None:
    source, destination = tmp_path / "vgg.pth", tmp_path / "out.safetensors"
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, source)
    with pytest.raises(CheckpointError, match=r"features\.0\.weight"):
        import_checkpoint(source, destination, "authors")

    state = reference.state_dict()
    del state["stage2_out.bias"]
    torch.save(state, source)
    with pytest.raises(CheckpointError, match=r"stage2\.picture\.bias"):
        import_checkpoint(source, destination, "authors")
    assert list(tmp_path.iterdir()) == [source]


def test_an_existing_destination_stays_as_it_is(tmp_path: Path) -> None:
    source, destination = tmp_path / "G.pth", tmp_path / "out.safetensors"
    torch.save({"stage1_out.weight": torch.zeros(3)}, source)
    destination.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists already"):
        import_checkpoint(source, destination, "authors")
    assert destination.read_bytes() == b"mine"
