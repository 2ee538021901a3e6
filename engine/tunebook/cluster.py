"""A cluster of dask.distributed: the way to its scheduler."""

from __future__ import annotations

import warnings
from typing import Any

from tunebook.errors import TrainingError, shown

#: Seconds to wait for the scheduler to answer.
PATIENCE = 20


def connect(address: str) -> Any:  # noqa: ANN401
    """
    Return a client of a scheduler.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``.

    Raises
    ------
    TrainingError
        dask.distributed is not installed, or the scheduler does not answer.
    """
    try:
        from distributed import Client  # noqa: PLC0415
    except ImportError:
        msg = "scheduler: dask.distributed is not installed; pip install 'tunebook[cluster]'"
        raise TrainingError(msg) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ: the numbers are what counts here
            return untyped(Client)(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        first = str(error).partition("\n")[0]
        msg = f"scheduler {shown(address)} does not answer: {first}; start one with `dask scheduler`"
        raise TrainingError(msg) from None


def untyped(thing: Any) -> Any:  # noqa: ANN401
    """Return a thing of dask, whose types are there in part."""
    return thing
