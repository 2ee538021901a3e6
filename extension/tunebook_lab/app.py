"""The extension of the Jupyter server: its settings, its routes, and the clock of its queue."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Int, Unicode

from tunebook_lab import job_routes, run_routes, template_routes
from tunebook_lab.services import Services

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp
    from tornado.web import RequestHandler

_BASE = r"tunebook/api/"
#: Path below the base to its handler, as the OpenAPI file has them.
ROUTES: dict[str, type[RequestHandler]] = {
    "status": template_routes.Status,
    "templates": template_routes.Templates,
    "templates/form": template_routes.TemplateForm,
    "notebooks": template_routes.Notebooks,
    "notebooks/form": template_routes.NotebookForm,
    "notebooks/parameters": template_routes.Parameters,
    "parameters/check": template_routes.Check,
    "data": template_routes.Data,
    "runs": run_routes.Runs,
    "run": run_routes.Run,
    "run/notes": run_routes.Notes,
    "run/again": run_routes.Again,
    "run/commands": run_routes.Commands,
    "run/trials": run_routes.Trials,
    "run/report": run_routes.Report,
    "run/handout": run_routes.Handout,
    "scalars": run_routes.Scalars,
    "histograms": run_routes.Histograms,
    "compare": run_routes.Compare,
    "jobs": job_routes.Jobs,
    "jobs/log": job_routes.JobLog,
    "queue": job_routes.Queue,
}


class TunebookLab(ExtensionApp):
    """Fine-tuning from JupyterLab: templates, runs, curves and background runs."""

    name = "tunebook_lab"
    runs_dir = Unicode(
        "",
        help="Folder below the server's root in which runs are listed and background runs are made; empty lists those "
        "below the whole root, and makes new ones in `runs` beside their notebook.",
    ).tag(config=True)
    max_running = Int(
        1, min=1, help="How many background runs there are at once, until somebody sets another number."
    ).tag(config=True)
    queue_dir = Unicode(
        "", help="Folder in which the queue is kept; empty is one for this root in Jupyter's data folder."
    ).tag(config=True)
    interval = Float(1.0, min=0.05, help="Seconds between two looks at the queue.").tag(config=True)

    services: Services
    _clock: asyncio.Task[None] | None = None

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend((_BASE + path, handler) for path, handler in ROUTES.items())

    def initialize_settings(self) -> None:
        """Make what the routes work with."""
        root = Path(self.settings.get("server_root_dir") or ".").expanduser().resolve()
        self.services = Services(root, self.runs_dir, self._queue_folder(root), self.max_running)
        self.settings["tunebook_services"] = self.services

    def _queue_folder(self, root: Path) -> Path:
        if self.queue_dir:
            return Path(self.queue_dir).expanduser().resolve()
        # Each root has a queue of its own: a server must not start what lies outside of its root.
        digest = hashlib.sha256(str(root).encode()).hexdigest()[:16]
        return Path(jupyter_data_dir()) / "tunebook" / "queue" / digest

    async def _start_jupyter_server_extension(self, serverapp: ServerApp) -> None:
        del serverapp
        self._clock = asyncio.create_task(self._run_queue())

    async def _run_queue(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self.services.threads, self.services.tick)
            except Exception:
                # A disk that is full for a moment must not end the queue.
                self.log.exception("tunebook: the queue could not be looked at; it is tried again")
            await asyncio.sleep(self.interval)

    async def stop_extension(self) -> None:
        """Stop looking at the queue; background runs go on."""
        if self._clock is not None:
            self._clock.cancel()
            with suppress(asyncio.CancelledError):
                await self._clock
        self.services.close()
