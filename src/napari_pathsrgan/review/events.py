"""What raters did, one event after the other, and the ratings that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from napari_pathsrgan.review.trial import SCORES

RATER_ACTS = frozenset(
    {"began", "opened", "rated", "corrected", "flagged", "unflagged", "commented", "paused", "resumed"}
)
DROPPED, REPLACED = "dropped", "replaced"
ORGANISER_ACTS = frozenset({DROPPED, REPLACED})
"""`DROPPED` leaves a rater out of the results, for the reason in its value; after `REPLACED` the rater begins anew."""

MAX_COMMENT = 2000
MAX_SECONDS = 1e6
_NEED_PLACE = frozenset({"rated", "corrected", "flagged", "unflagged", "commented"})


class InvalidEventError(ValueError):
    """An event that no rater can have caused; its text says what is wrong."""


@dataclass(frozen=True)
class Event:
    """One thing that a rater, or the organiser, did.

    Attributes
    ----------
    place : int or None
        In the rater's order.
    act : str
        One of `RATER_ACTS` or `ORGANISER_ACTS`.
    value : str
        The score (empty for “can't judge”), the comment, or the reason.
    seconds : float or None
        How long the image was looked at.
    at : str
        ISO 8601, with its time zone.
    """

    place: int | None
    act: str
    value: str
    seconds: float | None
    at: str


@dataclass(frozen=True)
class Score:
    """A rating as it stands: None for “can't judge”; seconds; ISO 8601."""

    value: int | None
    seconds: float
    at: str


@dataclass(frozen=True)
class Remark:
    """What was said about an image besides its rating."""

    flagged: bool = False
    comment: str = ""


@dataclass
class Outcome:
    """What follows from a rater's events.

    Attributes
    ----------
    scores : dict of int to Score
        By place.
    remarks : dict of int to Remark
    """

    scores: dict[int, Score] = field(default_factory=dict)
    remarks: dict[int, Remark] = field(default_factory=dict)


def replay(events: Iterable[Event], places: int, mode: str) -> Outcome:
    """Apply events one after the other.

    Parameters
    ----------
    events : iterable of Event
    places : int
        Length of the rater's order.
    mode : {"single", "pair"}

    Raises
    ------
    InvalidEventError
        If an event can't be a rater's.
    """
    outcome = Outcome()
    for event in events:
        check_event(event, places, mode)
        if event.act == REPLACED:
            outcome = Outcome()
        else:
            _apply(event, outcome)
    return outcome


def check_event(event: Event, places: int, mode: str) -> None:
    """Raise InvalidEventError unless a rater or the organiser can have caused an event."""
    place, act = event.place, event.act
    if act not in RATER_ACTS | ORGANISER_ACTS:
        raise InvalidEventError(f"“{act[:20]}” is nothing that raters do")
    if act in _NEED_PLACE and place is None:
        raise InvalidEventError(f"“{act}” without a place")
    if place is not None and not (_is_int(place) and 0 <= place < places):
        raise InvalidEventError(f"place {str(place)[:20]} of {places}")
    _check_values(event, mode)
    if not is_time(event.at):
        raise InvalidEventError(f"“{str(event.at)[:40]}” is no time")


def _check_values(event: Event, mode: str) -> None:
    if event.act in ("rated", "corrected"):
        if event.value not in ("", *map(str, SCORES[mode])):
            raise InvalidEventError(f"a rating of “{event.value[:20]}”")
        if event.seconds is None:
            raise InvalidEventError("a rating without its duration")
    if event.seconds is not None and not is_duration(event.seconds):
        raise InvalidEventError(f"a duration of {event.seconds} s")
    if len(event.value) > MAX_COMMENT:
        raise InvalidEventError(f"a text of {len(event.value)} characters")


def is_duration(value: Any) -> bool:
    """Whether a value can be how long an image was looked at, s."""
    return isinstance(value, int | float) and math.isfinite(value) and 0 <= value <= MAX_SECONDS


def is_time(value: Any) -> bool:
    """Whether a value is a time of ISO 8601 with its time zone."""
    try:
        return isinstance(value, str) and len(value) <= 40 and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def score_of(event: Event) -> Score:
    """The rating that an event gave; valid events of ratings only."""
    return Score(int(event.value) if event.value else None, float(event.seconds or 0.0), event.at)


def own_events(events: Iterable[Event]) -> list[Event]:
    """What a rater did since they began, or since their ratings were replaced; nothing of the organiser's."""
    own: list[Event] = []
    for event in events:
        if event.act == REPLACED:
            own.clear()
        elif event.act in RATER_ACTS:
            own.append(event)
    return own


def dropped_because(events: Iterable[Event]) -> str | None:
    """Why a rater was dropped; None for those who were not."""
    reasons = [event.value for event in events if event.act == DROPPED]
    return reasons[-1] if reasons else None


def _apply(event: Event, outcome: Outcome) -> None:
    if event.place is None:
        return
    before = outcome.remarks.get(event.place, Remark())
    if event.act in ("rated", "corrected"):
        outcome.scores[event.place] = score_of(event)
    elif event.act in ("flagged", "unflagged"):
        outcome.remarks[event.place] = Remark(event.act == "flagged", before.comment)
    elif event.act == "commented":
        outcome.remarks[event.place] = Remark(before.flagged, event.value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
