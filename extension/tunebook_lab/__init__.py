"""JupyterLab face of Tunebook: the prebuilt labextension, and routes of the Jupyter server beside it."""

from __future__ import annotations

from typing import Any


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "tunebook"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from tunebook_lab.app import TunebookLab  # noqa: PLC0415 - JupyterLab's builder asks for the paths alone

    return [{"module": "tunebook_lab", "app": TunebookLab}]
