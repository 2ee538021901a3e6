"""Routes of templates, notebooks, parameters and data: everything before a run."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from tunebook import machine
from tunebook_lab import bodies
from tunebook_lab.errors import RequestError
from tunebook_lab.forms import describe_templates, template_form
from tunebook_lab.handlers import Route
from tunebook_lab.notebooks import copy_notebook, create_notebook


class Status(Route):
    """What the server half is."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say version, limits and folders."""

        def work() -> dict[str, Any]:
            return {
                "version": version("tunebook"),
                "api": 1,
                "runs_dir": self.services.runs_dir,
                "max_running": self.services.queue.settings().max_running,
                "cores": machine.cores(),
                "memory_limit": machine.memory_limit(),
                "memory_available": machine.memory_available(),
            }

        await self.answer(work)


class Templates(Route):
    """The templates."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them."""
        await self.answer(lambda: {"templates": describe_templates()})


class TemplateForm(Route):
    """The form of a template."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give it."""
        name = self.text("name")
        await self.answer(lambda: template_form(name))


class Notebooks(Route):
    """Notebooks made from templates."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make one."""
        new = self.body(bodies.NewNotebook)
        if new.template and new.notebook:
            raise RequestError(400, "a template or a notebook is wanted, not both")
        root = self.services.root

        def work() -> dict[str, str]:
            if not new.notebook:
                return {"path": create_notebook(root, new.template, new.folder, new.name, new.values)}
            source = root.is_file(new.notebook)
            return {"path": copy_notebook(root, source, new.folder, new.name or source.stem, new.values)}

        await self.answer(work, 201)


class NotebookForm(Route):
    """The form of a notebook."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Give that of a notebook on the disk."""
        await self.apart(self.services.forms, "notebook form", path=self.text("path"))

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Give that of an open notebook's cell."""
        cell = self.body(bodies.Cell)
        await self.apart(self.services.forms, "cell form", task=cell.task, source=cell.source)


class Parameters(Route):
    """The parameters cell of an open notebook."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Return it with other values."""
        cell = self.body(bodies.NewCell)
        await self.apart(self.services.forms, "rewrite", task=cell.task, source=cell.source, values=cell.values)


class Check(Route):
    """Parameters that are being typed."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Say which are right."""
        given = self.body(bodies.Check)
        await self.apart(self.services.forms, "check", task=given.task, values=given.values)


class Data(Route):
    """Folders and tables."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Look at one."""
        path, folder = self.text("path"), self.text("folder", "")
        await self.apart(self.services.looks, "data", path=path, folder=folder)
