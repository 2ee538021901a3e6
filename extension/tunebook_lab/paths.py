"""Paths of requests, which stay below the server's root whatever they say."""

from __future__ import annotations

import os
from pathlib import Path

from tunebook.errors import shown
from tunebook_lab.errors import RequestError

_LONGEST = 4096
_LONGEST_NAME = 255


class Root:
    """
    The folder below which a server shows files.

    Parameters
    ----------
    folder
        The server's root.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder).expanduser().resolve()

    def resolve(self, path: str) -> Path:
        """
        Return the place of a path of a request, which need not exist.

        Parameters
        ----------
        path
            Relative to the root, with ``/`` between names; empty is the root.

        Raises
        ------
        RequestError
            400: it is absolute, holds ``..``, a backslash, a control character, or is too long. 404: a part of it is
            hidden, or a link leads out of the root.
        """
        parts = self._parts(path)
        if any(part.startswith(".") for part in parts):
            raise _missing(path)
        try:
            # Only what is behind all links counts.
            place = self.folder.joinpath(*parts).resolve()
        except (OSError, RuntimeError):  # links in a circle
            raise _missing(path) from None
        if not place.is_relative_to(self.folder):
            raise _missing(path)
        return place

    def existing(self, path: str) -> Path:
        """Return the place of a path as :meth:`resolve` does, which must exist: 404 without."""
        place = self.resolve(path)
        if not os.path.lexists(place):
            raise _missing(path)
        return place

    def is_folder(self, path: str) -> Path:
        """Return the place of a folder, 404 where there is none."""
        place = self.resolve(path)
        if not place.is_dir():
            raise RequestError(404, f"no folder {shown(path)}")
        return place

    def is_file(self, path: str) -> Path:
        """Return the place of a file, 404 where there is none."""
        place = self.resolve(path)
        if not place.is_file():
            raise RequestError(404, f"no file {shown(path)}")
        return place

    def is_run(self, path: str) -> Path:
        """Return the place of a run's or a sweep's directory, 404 where there is none."""
        place = self.resolve(path)
        if not (place / "state.json").is_file():
            raise RequestError(404, f"no run {shown(path)}")
        return place

    def holds(self, place: Path) -> bool:
        """Say whether a place, links followed, lies below the root."""
        return place.resolve().is_relative_to(self.folder)

    def name(self, place: Path) -> str:
        """Return the path by which a request names a place below the root."""
        relative = place.relative_to(self.folder).as_posix()
        return "" if relative == "." else relative

    def name_or_empty(self, place: Path) -> str:
        """Return the path by which a request names a file; empty if it is not there, hidden, or not below the root."""
        try:
            name = self.name(place)
        except ValueError:
            return ""
        hidden = any(part.startswith(".") for part in name.split("/"))
        return name if not hidden and place.is_file() else ""

    @staticmethod
    def _parts(path: str) -> list[str]:
        if len(path) > _LONGEST:
            raise RequestError(400, f"a path of {len(path)} characters is too long; allowed: {_LONGEST}")
        if any(ord(letter) < ord(" ") or letter in "\\\x7f" or "\ud800" <= letter <= "\udfff" for letter in path):
            raise RequestError(400, f"path {shown(path)} holds a control character or a backslash")
        if path.startswith(("/", "~")):
            raise RequestError(400, f"path {shown(path)} is absolute; allowed: paths below the server's root")
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise RequestError(400, f"path {shown(path)} leads upwards; allowed: paths below the server's root")
        if any(len(part.encode()) > _LONGEST_NAME for part in parts):
            raise RequestError(400, f"path {shown(path)} holds a name that is too long; allowed: {_LONGEST_NAME} bytes")
        return parts


def _missing(path: str) -> RequestError:
    return RequestError(404, f"nothing at {shown(path)}")
