"""Routes of background runs and their queue."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from tunebook_lab import bodies
from tunebook_lab.errors import RequestError
from tunebook_lab.handlers import Route


class Jobs(Route):
    """The background runs."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        await self.answer(lambda: {"jobs": self.services.queue.shown()})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Queue one."""
        wanted = self.body(bodies.NewJob)
        await self.answer(lambda: self.services.queue.submit(wanted), 201)

    @web.authenticated
    @authorized
    async def patch(self) -> None:
        """Move one to another place."""
        name, position = self.text("id"), self.body(bodies.Place).position
        await self.answer(lambda: self.services.queue.move(name, position))

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Cancel, stop or forget one."""
        name = self.text("id")
        await self.answer(lambda: self.services.queue.cancel(name))


class JobLog(Route):
    """What a background run printed."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give its end."""
        name = self.text("id")
        await self.answer(lambda: {"text": self.services.queue.log(name)})


class Queue(Route):
    """The queue."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say how it is set."""
        await self.answer(self.services.queue.describe)

    @web.authenticated
    @authorized
    async def patch(self) -> None:
        """Set it."""
        wanted = self.body(bodies.QueueSettings)
        if wanted.max_running is None and wanted.held is None:
            raise RequestError(400, "max_running or held is wanted")
        await self.answer(lambda: self.services.queue.set(wanted.max_running, held=wanted.held))
