"""What all routes have in common: login, tokens, bounded bodies, work beside the event loop, and errors in one line."""

from __future__ import annotations

import asyncio
import functools
import json
import math
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.extension.handler import ExtensionHandlerMixin
from pydantic import BaseModel, ValidationError
from tornado import web

from tunebook.errors import TunebookError, shown
from tunebook.plain_json import parse_json
from tunebook_lab.answers import dump
from tunebook_lab.errors import RequestError, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tunebook_lab.apart import Reader
    from tunebook_lab.services import Services

    Body = TypeVar("Body", bound=BaseModel)

#: Longest body of a request in bytes; a parameters cell has some thousand.
LONGEST_BODY = 1 << 20
#: Lists and mappings in a body.
_PARTS = 200_000
#: Digits of a length; more are no number that a body has.
_DIGITS = 20


@web.stream_request_body
class Route(ExtensionHandlerMixin, APIHandler):
    """Base of all routes."""

    auth_resource = "tunebook"

    def initialize(self, name: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Remember nothing yet of the body, which comes in pieces so that a long one is refused at its beginning."""
        super().initialize(name, *args, **kwargs)
        self._pieces: list[bytes] = []

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse who is not logged in, comes from elsewhere, or sends too much, before anything is read."""
        length = self.request.headers.get("Content-Length", "0")
        # Digits of other scripts are some to Python.
        if not (length.isascii() and length.isdigit()):
            raise RequestError(400, f"Content-Length: got {shown(length)}; allowed: a number of bytes")
        if len(length) > _DIGITS or int(length) > LONGEST_BODY:
            raise RequestError(413, f"the body is too long; allowed: {LONGEST_BODY} bytes")
        # What names no length is cut off there.
        self.request.connection.set_max_body_size(LONGEST_BODY)  # type: ignore[union-attr]
        await super().prepare()
        if self.request.method in {"GET", "HEAD"}:
            self.check_xsrf_cookie()

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self._pieces.append(chunk)

    @web.authenticated
    @authorized
    def options(self) -> None:  # type: ignore[override]
        """Answer a browser's question which verbs there are, to who is logged in."""
        super().options()

    @property
    def services(self) -> Services:
        """What the routes work with."""
        found: Services = self.settings["tunebook_services"]
        return found

    def texts(self, name: str) -> list[str]:
        """Return all values of an argument of the query, as they were sent."""
        # Tornado's own way strips them and puts spaces for control characters.
        try:
            return [value.decode() for value in self.request.query_arguments.get(name, [])]
        except UnicodeDecodeError:
            raise RequestError(400, f"{name} is not UTF-8") from None

    def text(self, name: str, default: str | None = None) -> str:
        """Return an argument of the query: 400 if it is missing and has no default."""
        found = self.texts(name)
        if not found and default is None:
            raise RequestError(400, f"the argument {name} is missing")
        return found[-1] if found else default or ""

    def number(self, name: str, default: float, low: float = -math.inf, high: float = math.inf) -> float:
        """Return an argument of the query as a number from ``low`` to ``high``, 400 if it is none."""
        if not self.texts(name):
            return default
        text = self.text(name)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            limits = f" from {low:g} to {high:g}" if math.isfinite(low) else ""
            raise RequestError(400, f"{name}: got {shown(text)}; allowed: a number{limits}")
        return value

    def body(self, kind: type[Body]) -> Body:
        """Return the body of the request, 400 if it is not what the route takes."""
        raw = b"".join(self._pieces)
        try:
            parse_json(raw, parts=_PARTS)
            return kind.model_validate_json(raw)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise RequestError(400, f"{where or 'body'}: {first['msg']}") from None
        except ValueError as error:
            raise RequestError(400, f"body: {error}") from None

    async def beside(self, work: Callable[[], bytes]) -> bytes:
        """Do work in a thread, so that the server goes on answering; below the root no link is followed."""
        root = self.services.root

        def confined() -> bytes:
            with root.confined():
                return work()

        return await asyncio.get_running_loop().run_in_executor(self.services.threads, confined)

    async def answer(self, work: Callable[[], Any], status: int = 200) -> None:
        """Do work in a thread and answer with its result as JSON."""
        body = await self.beside(lambda: dump(work()))
        self.set_status(status)
        await self.finish(body)

    async def apart(self, reader: Reader, job: str, **arguments: Any) -> None:  # noqa: ANN401
        """Have a job done in a process that can be ended, and answer with its result as JSON."""
        reader.admit()
        try:
            body = await asyncio.get_running_loop().run_in_executor(
                reader.threads, functools.partial(reader.call, job, arguments)
            )
        finally:
            reader.dismiss()
        await self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401
        """Say in one line what went wrong."""
        error = kwargs.get("exc_info", (None, None))[1]
        message = responses.get(status_code, "unknown error")
        if isinstance(error, TunebookError):
            status_code, message = status_of(error), str(error)
        elif isinstance(error, web.HTTPError):
            message = str(error.log_message or error.reason or message)
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self._verbs()))
        self.set_status(status_code)
        self.finish(json.dumps({"message": " ".join(message.split())}))

    def _verbs(self) -> list[str]:
        return [
            verb
            for verb in self.SUPPORTED_METHODS
            if getattr(type(self), verb.lower()) is not getattr(web.RequestHandler, verb.lower())
        ]

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:  # noqa: ANN401
        """Write a traceback to the log for what is a mistake of ours alone."""
        if isinstance(value, TunebookError):
            self.log.info("tunebook: %s", value)
        else:
            super().log_exception(typ, value, tb)
