"""Where a notebook runs: with somebody before it, or as a batch."""

from __future__ import annotations

import os
import sys


def is_batch() -> bool:
    """Whether nobody looks on: then figures and text are shown, and no widget is made or imported."""
    return os.environ.get("TUNEBOOK_BATCH", "") not in {"", "0"}


def has_kernel() -> bool:
    """Whether this process is a kernel that a front end talks to."""
    # Not imported for the question: a script that never loaded IPython has no kernel.
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
