"""What is found missing, what that means, and that nothing found in the probe harms the one who asks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable

import pytest

from napari_pathsrgan import doctor
from napari_pathsrgan.commands.app import main
from napari_pathsrgan.doctor import Examination, Finding


def only(findings: Iterable[Finding], name: str) -> Finding:
    (finding,) = (finding for finding in findings if finding.name == name)
    return finding


@pytest.mark.parametrize(
    ("ok", "need", "healthy"),
    [(True, "all", True), (False, "all", False), (False, "window", True), (False, "speed", True)],
)
def test_only_what_everything_needs_is_essential(ok: bool, need: doctor.Need, healthy: bool) -> None:
    others = Finding("Reader", "zarr", "3.1")
    assert Examination((others, Finding("Any", "thing", "as found", ok, need, "Do this."))).healthy is healthy


def test_without_torch_the_remedy_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    finding = only(doctor._devices(), "torch")
    assert not finding.ok
    assert finding.need == "all"
    assert "pip install torch" in finding.remedy


def test_without_a_reader_the_others_are_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    findings = list(doctor._readers())
    assert [finding.name for finding in findings if not finding.ok] == ["imagecodecs"]
    assert "OpenSlide 4" in only(findings, "openslide").found


def test_a_part_of_ours_that_cannot_be_loaded_is_a_finding() -> None:
    def look() -> Iterable[Finding]:
        raise ImportError("No module named 'dask'")

    (finding,) = doctor._look("Cache", look)
    assert (finding.ok, finding.found) == (False, "No module named 'dask'")


@pytest.mark.parametrize(
    ("probe", "reached", "failed_at", "complaint"),
    [
        ("import os; os.abort()", [], "Qt", "ended with code"),
        ("print('{\"Qt\": \"PyQt9\"}', flush=True)\nraise SystemExit('no screen')", ["Qt"], "screen", "no screen"),
    ],
    ids=["a crash", "a complaint"],
)
def test_a_probe_that_fails_tells_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, probe: str, reached: list[str], failed_at: str, complaint: str
) -> None:
    monkeypatch.setattr(doctor, "_PROBE", probe)
    findings = [finding for finding in doctor._window() if finding.name != "napari"]
    assert [finding.name for finding in findings] == [*reached, failed_at]
    assert [finding.ok for finding in findings] == [True] * len(reached) + [False]
    assert complaint in findings[-1].found
    assert all(finding.need == "window" for finding in findings)


def test_a_probe_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(doctor, "PATIENCE_S", 0.2)
    assert "no answer" in only(doctor._window(), "Qt").found


@pytest.mark.parametrize("models", [{}, {"broken": "no safetensors"}], ids=["none", "a broken one"])
def test_weights_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("models")
    files = {name: folder / f"{name}.safetensors" for name in models}
    for name, path in files.items():
        path.write_text(models[name])
    monkeypatch.setattr(doctor, "available_models", lambda: files)
    (finding,) = doctor._weights()
    assert not finding.ok
    assert finding.remedy
    assert Examination((finding,)).healthy is bool(models)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("PATHSRGAN_CACHE", str(folder / "not made yet"))
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**18)
    (finding,) = doctor._cache()
    assert not finding.ok
    assert "not made yet" in finding.found
    assert not list(folder.iterdir())


@pytest.fixture
def without_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict.fromkeys(doctor._REMEDIES, "as it should be")
    monkeypatch.setattr(doctor, "_PROBE", f"print({json.dumps(json.dumps(found))})")


@pytest.mark.usefixtures("without_probe")
@pytest.mark.parametrize(("models", "code"), [(None, 0), (dict, 2)], ids=["healthy", "no weights"])
def test_the_command_ends_with_2_where_something_essential_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], models: Callable[[], object] | None, code: int
) -> None:
    if models:
        monkeypatch.setattr(doctor, "available_models", models)
    assert main(["doctor", "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["healthy"] is (code == 0)
    topics = {finding["topic"] for finding in told["findings"]}
    assert topics == {"Device", "Reader", "Window", "Weights", "Cache", "Commands"}
    assert main(["doctor"]) == code
    text = capsys.readouterr().out
    assert ("Nothing essential is missing." in text) is (code == 0)
    assert ("pathsrgan train" in text) is (code == 2)
