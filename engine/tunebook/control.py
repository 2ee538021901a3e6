"""Live control of a run: commands as lines of ``control.jsonl``, what became of each, and their replay."""

from __future__ import annotations

import errno
import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from tunebook.errors import RecipeError, did_you_mean, shown
from tunebook.opening import from_home, open_plain, open_stream, status
from tunebook.plain_json import parse_json
from tunebook.recipe import Recipe
from tunebook.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: Name of the file in a run directory.
FILE = "control.jsonl"
#: The commands, in the order in which they are listed.
COMMANDS = ("pause", "resume", "stop", "finish", "lr", "dropout", "freeze", "next_stage", "histograms")
#: Commands that decide when a process computes and not what: a replay and a resumed run leave them out.
PASSING = ("pause", "resume", "stop")

#: Bytes of a line above which it is none of ours.
_LONGEST = 65_536
#: Lists and mappings in a line.
_PARTS = 1_000
#: Bytes of the file that are read; what follows them is not.
_LARGEST = 64 << 20
#: Most lines that are told to have been skipped.
_MOST_WORDS = 20
#: Seconds between two looks at the file while a run pauses.
_LONGEST_ID = 64
#: No step or epoch is that large.
_MOST = 2**53


@dataclass(frozen=True)
class Request:
    """
    What somebody asked of a run.

    Attributes
    ----------
    id
        Hexadecimal number that its outcome repeats.
    command, value
        One of :data:`COMMANDS`, and its value as JSON; see :func:`settle`.
    by
        Who asked: ``"panel"``, ``"cli"``, ``"lab"``, ``"replay"``, ...
    time
        When, in seconds since 1970.
    """

    id: str
    command: str
    value: Any = None
    by: str = ""
    time: float = 0.0

    def line(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {"id": self.id, "time": self.time, "by": self.by, "command": self.command, "value": self.value}


@dataclass(frozen=True)
class Outcome:
    """
    What became of a request.

    Attributes
    ----------
    id
        That of the request.
    step, epoch
        Steps and epochs that were done when it took effect, or was refused.
    command, value
        What was done, with everything that it depended on resolved; empty where it was refused.
    was
        The value before.
    words
        The change in words, such as ``"dropout head 0.2 → 0.4"``.
    refused
        Why nothing was done, one line; empty where it was.
    """

    id: str
    step: int
    epoch: int
    command: str = ""
    value: Any = None
    was: Any = None
    words: str = ""
    refused: str = ""

    def line(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        place = {"id": self.id, "step": self.step, "epoch": self.epoch}
        if self.refused:
            return {**place, "refused": self.refused}
        applied = {"command": self.command, "value": self.value}
        return {**place, "applied": applied, "was": self.was, "words": self.words}


def settle(command: object, value: object = None) -> Any:  # noqa: ANN401
    """
    Check the form of a command; whether it fits the model is known to the run alone.

    Parameters
    ----------
    command
        One of :data:`COMMANDS`.
    value
        For ``lr`` the new peak learning rate; for ``dropout`` a rate for each kind, such as ``{"head": 0.4}``; for
        ``freeze`` what :attr:`tunebook.recipe.Recipe.freeze` takes; for all others ``None``.

    Returns
    -------
    object
        The value as JSON holds it.

    Raises
    ------
    RecipeError
        Names the command, the value and what is allowed.
    """
    if command == "lr":
        return float(Recipe(lr=value).lr)
    if command == "freeze":
        return Recipe(freeze=value).freeze
    if command == "dropout":
        return _rates(value)
    if command not in COMMANDS:
        hint = did_you_mean(str(command), COMMANDS) or f"; allowed: {', '.join(COMMANDS)}"
        raise RecipeError(f"unknown command {shown(command)}{hint}")
    if value is not None:
        raise RecipeError(f"{command}: got {shown(value)} ({type(value).__name__}); it takes no value")
    return None


def _rates(value: object) -> dict[str, float]:
    allowed = f"allowed: a rate for each kind, such as {{'head': 0.4}}, each {Recipe.allowed('dropout')}"
    allowed = allowed.removesuffix(", or None")
    if not isinstance(value, dict) or not value:
        raise RecipeError(f"dropout: got {shown(value)} ({type(value).__name__}); {allowed}")
    for kind, rate in value.items():
        try:
            if not isinstance(kind, str) or Recipe(dropout=rate).dropout is None:
                raise RecipeError("")  # noqa: TRY301 - told below like all others
        except RecipeError:
            raise RecipeError(f"dropout: got {shown(kind)}={shown(rate)}; {allowed}") from None
    return {kind: float(rate) for kind, rate in value.items()}


class Control:
    """
    The commands that were sent to one run, by whomever, and what became of them.

    Everyone appends whole lines, each with one write, so that any number of senders lose nothing. Looking for new ones
    costs one ``stat`` where there are none. A line that is torn waits until it is whole; what is no line of ours is
    skipped, with a word in :attr:`words`.

    Parameters
    ----------
    path
        ``control.jsonl`` of the run directory. It need not be there yet.

    Attributes
    ----------
    words
        One for each line that was skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.words: list[str] = []
        self._file = 0, 0
        self._offset = self._lines = 0
        self._is_skipping = False
        self._requests: dict[str, Request] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._new: list[Request] = []

    def send(self, command: str, value: Any = None, by: str = "") -> str:  # noqa: ANN401
        """
        Ask the run to do something between two of its next steps.

        Parameters
        ----------
        command, value
            As for :func:`settle`.
        by
            Who asks, in a word.

        Returns
        -------
        str
            The request's id, which its outcome has.

        Raises
        ------
        RecipeError
            The command is unknown, or its value has not its form.
        StorageError
            The file cannot be written.
        """
        request = Request(secrets.token_hex(8), command, settle(command, value), by, time.time())
        self._append(request.line())
        return request.id

    def poll(self) -> list[Request]:
        """Return the requests that came since the last call and have no outcome yet, in their order."""
        self._read()
        if not self._new:
            return []
        new, self._new = self._new, []
        return [request for request in new if request.id not in self._outcomes]

    def requests(self) -> list[Request]:
        """Return all requests so far, in their order."""
        self._read()
        return list(self._requests.values())

    def outcomes(self) -> list[Outcome]:
        """Return all outcomes so far, in their order."""
        self._read()
        return list(self._outcomes.values())

    def outcome(self, request: str) -> Outcome | None:
        """Return what became of a request; ``None`` while that is open."""
        self._read()
        return self._outcomes.get(request)

    def wait(self, request: str, timeout: float) -> Outcome | None:
        """
        Wait until a request has its outcome.

        Parameters
        ----------
        request
            Its id.
        timeout
            Longest time in seconds.

        Returns
        -------
        Outcome or None
            ``None`` where it has none by then.
        """
        until = time.monotonic() + timeout
        while (found := self.outcome(request)) is None and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def record(self, outcome: Outcome, request: Request | None = None) -> None:
        """
        Write down what became of a request, and have it on the disk.

        Parameters
        ----------
        outcome
            What became of it.
        request
            Itself, where it did not come through this file.

        Raises
        ------
        StorageError
            The file cannot be written.
        """
        self._append(*([request.line()] if request else []), outcome.line(), durable=True)

    def _append(self, *entries: Mapping[str, Any], durable: bool = False) -> None:
        lines = [json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries]
        data = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
        try:
            descriptor = open_plain(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                size = os.fstat(descriptor).st_size
                # Behind a line that a dying sender left torn, ours would be lost with it.
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    data = b"\n" + data
                if os.write(descriptor, data) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise storage_error(self.path, error) from None

    def _read(self) -> None:
        try:
            found = status(self.path)
        except OSError:  # nobody asked for anything yet
            return
        now = found.st_ino, found.st_size
        if now == self._file:
            return
        if now[0] != self._file[0] or now[1] < self._offset:  # another file: what is known of it is not taken twice
            self._offset = self._lines = 0
            self._is_skipping = False
        try:
            with open_stream(self.path) as stream:
                stream.seek(self._offset)
                while self._offset < _LARGEST and (piece := stream.readline(_LONGEST)):
                    if not piece.endswith(b"\n") and len(piece) < _LONGEST:
                        break  # torn: it waits
                    self._offset += len(piece)
                    self._take(piece)
        except OSError as error:
            self._say(f"cannot read {self.path}: {error.strerror or error}")
            return
        if self._offset >= _LARGEST:
            self._say(f"{self.path.name} is larger than {_LARGEST >> 20} MiB; what follows was not read")
        self._file = now

    def _take(self, piece: bytes) -> None:
        is_whole = piece.endswith(b"\n")
        is_rest, self._is_skipping = self._is_skipping, not is_whole
        if is_rest:
            return
        self._lines += 1
        if not piece.strip():
            return
        try:
            entry = _read_line(piece) if is_whole else _refuse("it is too long")
        except (ValueError, RecursionError) as error:
            self._say(f"line {self._lines} of {self.path.name} was skipped: {error}")
            return
        if isinstance(entry, Outcome):
            self._outcomes.setdefault(entry.id, entry)
        elif entry.id not in self._requests:
            self._requests[entry.id] = entry
            self._new.append(entry)

    def _say(self, line: str) -> None:
        if len(self.words) < _MOST_WORDS and line not in self.words:
            self.words.append(line)


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _read_line(line: bytes) -> Request | Outcome:
    """
    Read a line.

    Raises
    ------
    ValueError
        It is neither a request nor an outcome; what is missing.
    """
    try:
        entry = parse_json(line, parts=_PARTS)
    except (json.JSONDecodeError, UnicodeDecodeError):
        _refuse("it is not JSON")
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        _refuse("it has no id")
    name = entry["id"]
    if not 0 < len(name) <= _LONGEST_ID or not name.isprintable():
        _refuse(f"its id is {shown(name)}")
    return _read_request(name, entry) if "command" in entry else _read_outcome(name, entry)


def _read_outcome(name: str, entry: Mapping[str, Any]) -> Outcome:
    step, epoch = entry.get("step"), entry.get("epoch")
    if type(step) is not int or type(epoch) is not int or not 0 <= step < _MOST or not 0 <= epoch < _MOST:
        _refuse("it is no request, and names no step and epoch")
    applied, refused = entry.get("applied"), entry.get("refused")
    if isinstance(refused, str) and refused:
        return Outcome(name, step, epoch, refused=refused)
    if not isinstance(applied, dict) or not isinstance(applied.get("command"), str):
        _refuse("it does not say what was done")
    command, words = applied["command"], entry.get("words")
    words = words if isinstance(words, str) else command
    return Outcome(name, step, epoch, command, applied.get("value"), entry.get("was"), words)


def _read_request(name: str, entry: Mapping[str, Any]) -> Request:
    command, by, moment = entry["command"], entry.get("by", ""), entry.get("time", 0.0)
    if not isinstance(command, str) or not isinstance(by, str):
        _refuse("its command or its sender is no text")
    is_number = isinstance(moment, (int, float)) and not isinstance(moment, bool) and abs(moment) < 1e12  # noqa: PLR2004
    return Request(name, command, entry.get("value"), by, float(moment) if is_number else 0.0)


def recorded(replay: str, runs_dir: str = "runs") -> tuple[list[Outcome], list[str]]:
    """
    Read the live commands of a run that are to be repeated.

    Parameters
    ----------
    replay
        A run directory, its name below ``runs_dir``, or a file such as its ``control.jsonl``.
    runs_dir
        Folder that holds the run directories.

    Returns
    -------
    tuple of list of Outcome and list of str
        What took effect, but for pausing, resuming and stopping, by step; and a word for each line that was skipped.

    Raises
    ------
    RecipeError
        There is no such run, or what is there is no record.
    """
    path = _find_record(replay, runs_dir)
    control = Control(path)
    found = [o for o in control.outcomes() if not o.refused and o.command not in PASSING]
    if control.words and not control.requests():
        raise RecipeError(f"parameter replay: {path} holds no live commands: {control.words[0]}; name a run's {FILE}")
    for outcome in found:
        try:
            settle_resolved(outcome)
        except RecipeError as error:
            raise RecipeError(f"parameter replay: {path}, step {outcome.step}: {error}") from None
    return sorted(found, key=lambda outcome: outcome.step), [f"replay: {line}" for line in control.words]


def _find_record(replay: str, runs_dir: str) -> Path:
    with suppress(OSError):  # such as a name that is too long
        for place in (from_home(replay), from_home(runs_dir) / replay):
            if (place / "state.json").is_file():
                return place / FILE
            if place.is_file():
                return place
    msg = f"parameter replay: no run and no file {shown(replay)}; allowed: a run directory or its {FILE}"
    raise RecipeError(msg)


def settle_resolved(outcome: Outcome) -> Any:  # noqa: ANN401
    """Check a recorded command; of the next stage the freeze is known that it came to."""
    return settle("freeze" if outcome.command == "next_stage" else outcome.command, outcome.value)
