"""Help with Qt's types: its stubs say that much may be None which never is, such as a label's layout."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def existing(part: T | None) -> T:
    """Take a part that is known to be there."""
    assert part is not None
    return part
