"""The form that a job's record must have on disk. Whoever wrote it may be a stranger, so every value is checked.

A record that passes runs nothing but one of the package's own commands, see `spec.VERBS`, and its texts can be shown.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from napari_pathsrgan.jobs.process import ProcessMark
from napari_pathsrgan.jobs.spec import DEVICE_PATTERN, LAYOUT, VERBS, JobRecord, JobSpec, State
from napari_pathsrgan.text import printable


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


def _absolute(text: str) -> str:
    if not Path(text).is_absolute():
        raise ValueError("is not an absolute path")
    return text


def _own_command(words: tuple[str, ...]) -> tuple[str, ...]:
    if words[0] not in VERBS:
        raise ValueError(f"{printable(words[0], 40)!r} is no command for a job")
    return words


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(part)
    return value


def _written_state(state: State) -> State:
    if state in (State.STOPPING, State.DAMAGED):
        raise ValueError(f"{state} is never written")
    return state


_Word = Annotated[str, Field(max_length=200_000), AfterValidator(_without_nul)]
_Line = Annotated[str, Field(max_length=10_000), AfterValidator(printable)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _StoredProcess(_Checked):
    pid: int = Field(gt=0, lt=2**31)
    started: str = Field(max_length=200)
    host: Annotated[str, Field(max_length=300), AfterValidator(printable)]


class _StoredRecord(_Checked):
    layout: Annotated[int, Field(ge=LAYOUT, le=LAYOUT)]
    argv: Annotated[tuple[_Word, ...], Field(min_length=1, max_length=20_000), AfterValidator(_own_command)]
    title: _Line
    device: str = Field(pattern=DEVICE_PATTERN)
    cwd: Annotated[_Word, AfterValidator(_absolute)]
    config: Annotated[dict[str, Any], AfterValidator(_finite)]
    versions: dict[_Line, _Line]
    created: _Line
    state: Annotated[State, AfterValidator(_written_state)]
    turn: int = Field(ge=0, lt=2**53)
    process: _StoredProcess
    started: _Line
    ended: _Line
    code: int | None = Field(gt=-(2**31), lt=2**31)
    problem: _Line


def parse_record(content: bytes) -> JobRecord:
    """Read what `JobRecord.to_json` gave.

    Parameters
    ----------
    content : bytes
        JSON.

    Raises
    ------
    ValueError
        With a few words on the first thing that is wrong.
    """
    try:
        stored = _StoredRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(printable(f"{place}: {first['msg']}" if place else first["msg"], 200)) from None
    spec = JobSpec(stored.argv, stored.title, stored.device, stored.cwd, stored.config, stored.versions, stored.created)
    process = ProcessMark(stored.process.pid, stored.process.started, stored.process.host)
    return JobRecord(
        spec, stored.state, stored.turn, process, stored.started, stored.ended, stored.code, stored.problem
    )
