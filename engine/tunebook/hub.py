"""The Hugging Face hub, when it is there and when it is not."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit


class hub_or_cache:  # noqa: N801 - used as a context manager, reads as one
    """
    Use only the hub's local cache while the hub's name cannot be looked up.

    huggingface_hub retries for most of a minute before it says that there is no network.
    """

    def __enter__(self) -> None:
        import huggingface_hub.constants as constants  # noqa: PLC0415, PLR0402

        self._constants = constants
        self._before = constants.HF_HUB_OFFLINE
        proxied = any(os.environ.get(k) for k in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
        host = urlsplit(constants.ENDPOINT).hostname or ""
        if not proxied and not self._before:
            try:
                socket.getaddrinfo(host, 443)
            except OSError:
                constants.HF_HUB_OFFLINE = True

    def __exit__(self, *_: object) -> None:
        self._constants.HF_HUB_OFFLINE = self._before
