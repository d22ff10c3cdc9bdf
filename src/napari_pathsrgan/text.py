"""Text from files, made safe to show: without terminal escapes, reordering characters or endless length."""

from __future__ import annotations

import json
import unicodedata

#: Unicode categories of control, formatting and surrogate characters, and of line and paragraph separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
#: Joiners that words of some languages need, and the space that lets a long word break; they reorder nothing.
_JOINERS = "\u200b\u200c\u200d"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def is_printable(text: str) -> bool:
    """Say whether every character can be shown as it is: no control, escape, bidirectional or surrogate characters."""
    return not any(_hidden(character) for character in text)


def printable(text: str, most: int = 4000) -> str:
    """Make text from a file safe for a terminal, a log or a window.

    Parameters
    ----------
    text : str
    most : int
        Characters kept; an ellipsis takes the place of the rest.

    Returns
    -------
    str
        One line. White space becomes a space, and what could not be shown a replacement character.
    """
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return shown if is_printable(shown) else "".join(map(_shown, shown))


def escaped(text: str) -> str:
    """Write JSON text's characters that could not be shown as JSON's own escapes; line breaks stay."""
    if is_printable(text.replace("\n", "")):
        return text
    return "".join(json.dumps(one)[1:-1] if one != "\n" and _hidden(one) else one for one in text)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN_CATEGORIES and character not in _JOINERS


def _shown(character: str) -> str:
    if not _hidden(character):
        return character
    return " " if character.isspace() else _REPLACEMENT
