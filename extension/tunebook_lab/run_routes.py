"""Routes of runs: the list, one of them, its curves and its commands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from tunebook.errors import shown
from tunebook.opening import is_file, read_bytes
from tunebook.plain_json import parse_json
from tunebook.run_notes import change_notes
from tunebook_lab import bodies
from tunebook_lab.again import describe_again
from tunebook_lab.comparing import compare
from tunebook_lab.errors import RequestError
from tunebook_lab.handlers import Route
from tunebook_lab.run_details import read_all_trials, read_detail
from tunebook_lab.run_files import delete_run, goes_to_trash, rename_run

if TYPE_CHECKING:
    from pathlib import Path

    from tunebook_lab.curves import View

_REPORTS = {"html": "bias.html", "json": "bias.json"}
_LARGEST_REPORT = 64 << 20
_MOST_COMMANDS = 1_000
_MOST_COMPARED = 20
_MOST_WIDTH = 10_000


class Runs(Route):
    """The runs below a folder."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them, or what changed."""
        folder, since = self.text("folder", ""), self.text("since", "")
        services = self.services

        def work() -> dict[str, Any]:
            if folder or not services.runs_dir:
                place = services.root.is_folder(folder)
            else:  # before the first run the folder need not be there
                place = services.root.resolve(services.runs_dir)
            return services.index.changes(place, since, services.queue.jobs())

        await self.answer(work)


class Run(Route):
    """One run."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell all about it."""
        path = self.text("path")
        services = self.services

        def work() -> dict[str, Any]:
            place = services.root.is_run(path)
            return read_detail(place, services.root, services.row(place), services.log)

        await self.answer(work)

    @web.authenticated
    @authorized
    async def patch(self) -> None:
        """Rename it."""
        path, name = self.text("path"), self.body(bodies.Name).name

        def work() -> dict[str, str]:
            place = self._at_rest(path)
            new = rename_run(place, name)
            self.services.logs.forget(place)
            return {"path": self.services.root.name(new)}

        await self.answer(work)

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Throw it away."""
        path, to_trash = self.text("path"), goes_to_trash(self.contents_manager)

        def work() -> bytes:
            place = self._at_rest(path)
            delete_run(place, to_trash=to_trash)
            self.services.logs.forget(place)
            return b""

        await self.beside(work)
        self.set_status(204)
        await self.finish()

    def _at_rest(self, path: str) -> Path:
        place = self.services.root.is_run(path)
        if place == self.services.root.folder:
            raise RequestError(409, "the server's root itself is not renamed or deleted")
        if self.services.queue.is_busy(place):
            raise RequestError(409, f"run {place.name} is in the queue; cancel its background run first")
        return place


class Notes(Route):
    """Star, tags and note of a run."""

    @web.authenticated
    @authorized
    async def patch(self) -> None:
        """Write some of them."""
        path, wanted = self.text("path"), self.body(bodies.RunNotes)
        changes = wanted.model_dump(exclude_none=True)
        if not changes:
            raise RequestError(400, "star, tags or note is wanted")

        def work() -> dict[str, Any]:
            notes = change_notes(self.services.root.is_run(path), **changes)
            return {"star": notes.star, "tags": list(notes.tags), "note": notes.note}

        await self.answer(work)


class Again(Route):
    """What a run's form begins with."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it."""
        path = self.text("path")
        services = self.services

        def work() -> dict[str, Any]:
            place = services.root.is_run(path)
            return describe_again(place, services.row(place), services.root)

        await self.answer(work)


class Commands(Route):
    """The live commands of a run."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell what became of them."""
        path = self.text("path")

        def work() -> dict[str, Any]:
            return {"commands": _commands(self.services.root.is_run(path))}

        await self.answer(work)

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Send one."""
        path, wanted = self.text("path"), self.body(bodies.Command)

        def work() -> dict[str, str]:
            from tunebook.control import FILE, Control  # noqa: PLC0415

            place = self.services.root.is_run(path)
            row = self.services.row(place)
            if not row["controllable"]:
                raise RequestError(409, f"run {place.name} is {row['state']} and takes no live commands")
            return {"id": Control(place / FILE).send(wanted.command, wanted.value, by="lab")}

        await self.answer(work, 202)


class Trials(Route):
    """The trials of a sweep."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        path = self.text("path")
        await self.answer(lambda: read_all_trials(self.services.root.is_run(path)))


class Report(Route):
    """The bias report of a run."""

    @property
    def content_security_policy(self) -> str:
        """Allow the page its own style and pictures, and nothing else: no script, no form, no request."""
        page = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; sandbox"
        )
        return f"frame-ancestors 'self'; {page}"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the page, or its figures."""
        path, kind = self.text("path"), self.text("format", "html")
        if kind not in _REPORTS:
            raise RequestError(400, f"format: got {shown(kind)}; allowed: {', '.join(_REPORTS)}")

        def work() -> bytes:
            place = self.services.root.is_run(path)
            file = place / "report" / _REPORTS[kind]
            if not is_file(file):
                raise RequestError(404, f"run {place.name} has no bias report yet")
            try:
                raw = read_bytes(file, _LARGEST_REPORT)
                is_report = kind == "html" or isinstance(parse_json(raw), dict)
            except OSError as error:
                raise RequestError(409, f"the bias report of {place.name} cannot be shown: {error.strerror}") from None
            except ValueError as error:
                raise RequestError(409, f"the bias report of {place.name} is damaged: {error}") from None
            if not is_report:
                raise RequestError(409, f"the bias report of {place.name} is damaged: it holds no figures")
            return raw

        body = await self.beside(work)
        self.set_header("X-Content-Type-Options", "nosniff")
        await self.finish(body, set_content_type="text/html; charset=UTF-8" if kind == "html" else "application/json")


class Handout(Route):
    """A whole run as one page to hand on."""

    @property
    def content_security_policy(self) -> str:
        """Allow the page its own style and pictures, and nothing else, should it be opened instead of saved."""
        return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give the page as a file."""
        path = self.text("path")

        def work() -> bytes:
            from tunebook.handout import write_handout  # noqa: PLC0415 - numpy

            place = self.services.root.is_run(path)
            with self.services.log(place) as curves:
                return write_handout(place, curves).encode("utf-8", "replace")

        body = await self.beside(work)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Content-Disposition", "attachment")
        await self.finish(body, set_content_type="text/html; charset=UTF-8")


class Scalars(Route):
    """Curves."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give those of a run's folder or an events file."""
        path = self.text("path")
        width = int(self.number("width", 1000, 1, _MOST_WIDTH))
        start, end = self.number("start", -math.inf), self.number("end", math.inf)
        tags, since = self.texts("tag"), self.text("since", "")

        def work() -> bytes:
            from tunebook_lab.curves import View  # noqa: PLC0415 - numpy

            place = self.services.root.existing(path)
            view: View = View(width, tuple(tags), start, end, since)
            return self.services.logs.scalars(place, view)

        body = await self.beside(work)
        await self.finish(body, set_content_type="application/octet-stream")


class Histograms(Route):
    """Histograms of weights and gradients."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give those of a tag."""
        path, tag = self.text("path"), self.text("tag")
        await self.answer(lambda: self.services.logs.histograms(self.services.root.existing(path), tag))


class Compare(Route):
    """Several runs beside each other."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell what differs."""
        paths = self.texts("path")
        if not 2 <= len(paths) <= _MOST_COMPARED:  # noqa: PLR2004
            raise RequestError(
                400, f"path: got {len(paths)}; allowed: 2 to {_MOST_COMPARED} runs, each as an argument path"
            )

        def work() -> dict[str, Any]:
            places = [self.services.root.is_run(path) for path in paths]
            return compare(places, [self.services.row(place) for place in places])

        await self.answer(work)


def _commands(run: Path) -> list[dict[str, Any]]:
    from tunebook.control import FILE, Control  # noqa: PLC0415

    control = Control(run / FILE)
    outcomes = {outcome.id: outcome for outcome in control.outcomes()}
    found = []
    for request in control.requests()[-_MOST_COMMANDS:]:
        outcome = outcomes.get(request.id)
        refused = outcome.refused if outcome is not None else ""
        found.append({
            "id": request.id, "time": request.time, "by": request.by, "command": request.command,
            "value": request.value,
            "outcome": "waiting" if outcome is None else "refused" if refused else "applied",
            "step": None if outcome is None else outcome.step, "epoch": None if outcome is None else outcome.epoch,
            "words": "" if outcome is None else " ".join((refused or outcome.words).split()),
        })  # fmt: skip
    return found
