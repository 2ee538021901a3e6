"""What may go wrong with a benchmark, in one line."""

from __future__ import annotations

from tunebook.errors import TunebookError


class BenchmarkError(TunebookError):
    """A benchmark is asked for what it does not have, or its data cannot be prepared."""
