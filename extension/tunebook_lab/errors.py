"""What a request can get wrong, with the HTTP status that says so."""

from __future__ import annotations

from tunebook.errors import StorageError, TunebookError


class RequestError(TunebookError):
    """
    A request that cannot be answered.

    Parameters
    ----------
    status
        HTTP status: 400, 404, 409, 413, 422 or 503.
    message
        One line.

    Attributes
    ----------
    status
        HTTP status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def status_of(error: TunebookError) -> int:
    """Return the HTTP status that says what is wrong."""
    if isinstance(error, RequestError):
        return error.status
    return 409 if isinstance(error, StorageError) else 400
