"""Paths of requests, which stay below the server's root whatever they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunebook import opening
from tunebook.errors import shown
from tunebook_lab.errors import RequestError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

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
        try:
            # Only what is behind all links counts.
            place = self.folder.joinpath(*parts).resolve()
        except (OSError, RuntimeError):  # links in a circle
            raise _missing(path) from None
        hidden = any(part.startswith(".") for part in parts)
        if hidden or not place.is_relative_to(self.folder) or self._is_hidden(place):
            raise _missing(path)
        return place

    def confined(self) -> AbstractContextManager[None]:
        """
        Open below the root without following links, while it lasts.

        A path that was resolved leads through no link, and one that has come into its way since then is refused.
        """
        return opening.confined(self.folder)

    def existing(self, path: str) -> Path:
        """Return the place of a path as :meth:`resolve` does, which must exist: 404 without."""
        place = self.resolve(path)
        try:
            with self.confined():
                opening.status(place)
        except OSError:
            raise _missing(path) from None
        return place

    def is_folder(self, path: str) -> Path:
        """Return the place of a folder, 404 where there is none."""
        place = self.resolve(path)
        with self.confined():
            if not opening.is_folder(place):
                raise RequestError(404, f"no folder {shown(path)}")
        return place

    def is_file(self, path: str) -> Path:
        """Return the place of a regular file, 404 where there is none."""
        place = self.resolve(path)
        with self.confined():
            if not opening.is_file(place):
                raise RequestError(404, f"no file {shown(path)}")
        return place

    def is_run(self, path: str) -> Path:
        """Return the place of a run's or a sweep's directory, 404 where there is none."""
        place = self.resolve(path)
        try:
            with self.confined():
                opening.status(place / "state.json")  # one that is no file is a damaged run's
        except OSError:
            raise RequestError(404, f"no run {shown(path)}") from None
        return place

    def holds(self, place: Path) -> bool:
        """Say whether a place, links followed, lies below the root."""
        return place.resolve().is_relative_to(self.folder)

    def name(self, place: Path) -> str:
        """Return the path by which a request names a place below the root."""
        relative = place.relative_to(self.folder).as_posix()
        return "" if relative == "." else relative

    def _is_hidden(self, place: Path) -> bool:
        return any(part.startswith(".") for part in place.relative_to(self.folder).parts)

    @staticmethod
    def _parts(path: str) -> list[str]:
        if len(path) > _LONGEST:
            raise RequestError(400, f"a path of {len(path)} characters is too long; allowed: {_LONGEST}")
        if not can_be_asked_for(path):
            raise RequestError(400, f"path {shown(path)} holds a control character or a backslash")
        if path.startswith(("/", "~")):
            raise RequestError(400, f"path {shown(path)} is absolute; allowed: paths below the server's root")
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise RequestError(400, f"path {shown(path)} leads upwards; allowed: paths below the server's root")
        if any(len(part.encode()) > _LONGEST_NAME for part in parts):
            raise RequestError(400, f"path {shown(path)} holds a name that is too long; allowed: {_LONGEST_NAME} bytes")
        return parts


def can_be_asked_for(path: str) -> bool:
    """Say whether a path of a request may hold these signs: no control characters, backslashes and halves of signs."""
    return not any(ord(sign) < ord(" ") or sign in "\\\x7f" or "\ud800" <= sign <= "\udfff" for sign in path)


def _missing(path: str) -> RequestError:
    return RequestError(404, f"nothing at {shown(path)}")
