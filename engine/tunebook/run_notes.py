"""What a person writes beside a run to tell it from others: a star, tags, and a note."""

from __future__ import annotations

import fcntl
import os
import unicodedata
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tunebook.errors import StorageError, TunebookError, shown
from tunebook.opening import folder_open
from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: Name of the file in a run directory.
FILE = "notes.json"
#: Most tags of a run, most characters of one, and most characters of a note.
MOST_TAGS, LONGEST_TAG, LONGEST_NOTE = 20, 40, 4000
#: Bytes of the file that are read: a note of four bytes a character, and tags, written with escapes.
_LARGEST = 128 << 10
#: What stands between tags where several are typed, or before one where it is searched for.
_SEPARATORS = frozenset(",;#")
#: Joiners, without which words of Persian or Hindi are others; they are the only unseen letters that are kept.
_JOINERS = "\u200c\u200d"


class NoteError(TunebookError):
    """A tag or a note is none."""


@dataclass(frozen=True)
class Notes:
    """
    What a person wrote beside a run.

    Attributes
    ----------
    star
        Whether it is one of the runs to be found again.
    tags
        Words of a person's own, in the order in which they were given; see :func:`clean_tags`.
    note
        Free text of at most :data:`LONGEST_NOTE` characters.
    """

    star: bool = False
    tags: tuple[str, ...] = ()
    note: str = ""


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """
    Return tags as they are kept: composed (NFC), without spaces around them, each once.

    Raises
    ------
    NoteError
        There are too many, or one is too long, or holds a comma, a semicolon, ``#``, or a character that is not shown.
    """
    found: dict[str, str] = {}
    for tag in tags:
        text = " ".join(unicodedata.normalize("NFC", tag).split())
        bad = [letter for letter in text if letter in _SEPARATORS or not _is_shown(letter)]
        if bad:
            msg = f"tag {shown(tag)} holds {shown(bad[0])}; allowed: letters, digits, spaces and signs but , ; #"
            raise NoteError(msg)
        if len(text) > LONGEST_TAG:
            raise NoteError(f"tag {shown(text)} has {len(text)} characters; allowed: {LONGEST_TAG}")
        if text:
            found.setdefault(text.casefold(), text)
    if len(found) > MOST_TAGS:
        raise NoteError(f"{len(found)} tags are too many for a run; allowed: {MOST_TAGS}")
    return tuple(found.values())


def clean_note(text: str) -> str:
    """
    Return a note as it is kept: composed (NFC), without spaces around it, other control characters than line ends gone.

    Raises
    ------
    NoteError
        It is too long.
    """
    lines = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()).splitlines()
    kept = "\n".join("".join(filter(_is_shown, line)).rstrip() for line in lines).strip()
    if len(kept) > LONGEST_NOTE:
        raise NoteError(f"the note has {len(kept)} characters; allowed: {LONGEST_NOTE}")
    return kept


def read_notes(run: Path) -> Notes:
    """
    Read what was written beside a run.

    Parameters
    ----------
    run
        The run directory.

    Returns
    -------
    Notes
        Empty where there is nothing, or the file is damaged: whoever writes next writes it anew.
    """
    with suppress(StorageError, AttributeError):
        raw = read_json(run / FILE, _LARGEST)
        star, tags, note = raw.get("star"), raw.get("tags"), raw.get("note")
        words = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        return Notes(star is True, _kept(words), clean_note(note[:LONGEST_NOTE]) if isinstance(note, str) else "")
    return Notes()


def notes_damage(run: Path) -> str:
    """Say in one line why nothing, or not all, can be read of what was written beside a run; empty where it can."""
    try:
        raw = read_json(run / FILE, _LARGEST)
    except StorageError as error:
        return str(error)
    return "" if isinstance(raw, dict) else f"{run / FILE} holds no notes; it is damaged"


def change_notes(run: Path, **changes: Any) -> Notes:  # noqa: ANN401
    """
    Write some of a run's star, tags and note; the others stay as they are.

    Parameters
    ----------
    run
        The run directory. It may be running: the file is no part of what the run computes.
    **changes
        Fields of :class:`Notes`.

    Returns
    -------
    Notes
        As they are now.

    Raises
    ------
    NoteError
        A value is not allowed; nothing was written.
    StorageError
        The file cannot be written.
    """
    if "tags" in changes:
        changes["tags"] = clean_tags(changes["tags"])
    if "note" in changes:
        changes["note"] = clean_note(changes["note"])
    with _alone(run) as folder:
        before = os.fstat(folder) if folder is not None else None
        notes = replace(read_notes(run), **changes)
        write_json(run / FILE, asdict(notes))
        if folder is not None and before is not None:
            # A word about an old run does not make it a new one: lists are in the order of these times.
            with suppress(OSError):
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    return notes


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or letter in _JOINERS


def _kept(words: list[str]) -> tuple[str, ...]:
    """Return those of some words that are tags."""
    found: tuple[str, ...] = ()
    for word in words[: 4 * MOST_TAGS]:
        with suppress(NoteError):
            found = clean_tags((*found, word))
    return found


@contextmanager
def _alone(run: Path) -> Iterator[int | None]:
    """Let nobody else change the notes meanwhile: two hands at once must not undo each other. Give the folder."""
    with ExitStack() as opened:
        folder = None
        # One that cannot be listed may be written to; and some network file systems lock no folder: the last hand wins.
        with suppress(OSError):
            folder = opened.enter_context(folder_open(run))
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield folder
