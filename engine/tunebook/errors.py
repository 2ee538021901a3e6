"""Errors that a user can act on: one line each, naming the thing, what is allowed and how to mend it."""

from __future__ import annotations

import difflib
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Longer words are no slips of the pen.
_LONGEST_WORD = 200


class TunebookError(Exception):
    """Base of every error that Tunebook raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    def _render_traceback_(self) -> list[str]:
        # IPython calls this instead of printing a traceback: the user did nothing in our
        # source files, so forty lines of them would only hide the one line that helps.
        return [f"{type(self).__name__}: {self}"]


class RecipeError(TunebookError):
    """A parameter has an unknown name, a wrong type or a value that is not allowed."""


class DataError(TunebookError):
    """The examples cannot be read, or the checks found problems and the policy is to stop."""


class ModelError(TunebookError):
    """The model or its weights cannot be had, opened or trusted."""


class TrainingError(TunebookError):
    """Training cannot go on; what was finished before is kept."""


class StorageError(TunebookError):
    """A file of a run cannot be written or read, or does not match its recorded hash."""


class StepError(TunebookError):
    """A step of a notebook is given what the steps before it did not make, or made for another recipe."""


class InterruptError(TunebookError, KeyboardInterrupt):
    """Somebody interrupted a step; it is a keyboard interrupt for those who wait for one."""


class NotebookError(TunebookError):
    """A template or notebook cannot be found, read or executed."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """
    Suggest the nearest known word.

    Parameters
    ----------
    word
        What the user wrote.
    known
        The words that exist.

    Returns
    -------
    str
        ``"; did you mean 'x'?"``, or an empty string when nothing is near.
    """
    # Each comparison takes time that grows with both lengths.
    if len(word) > _LONGEST_WORD:
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


def shown(value: object, limit: int = 80) -> str:
    """
    Render a value of the user's for an error line: quoted, on one line, cut at ``limit`` characters.

    A path is cut in front, and at twice as many, since its end tells which file it is.

    Control characters and line ends are escaped by ``repr``, so a hostile value cannot
    forge a second line or move the terminal's cursor.
    """
    is_path = isinstance(value, PurePath)
    value, limit = (str(value), 2 * limit) if is_path else (value, limit)
    try:
        text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or what holds itself
        text = f"<a {type(value).__name__} that is too large to be written>"
    if len(text) <= limit:
        return text
    return f"{text[0]}…{text[2 - limit :]}" if is_path else f"{text[: limit - 1]}…"
