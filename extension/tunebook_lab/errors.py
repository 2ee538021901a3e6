"""What a request can get wrong, with the HTTP status that says so."""

from __future__ import annotations

from tunebook.errors import TunebookError


class RequestError(TunebookError):
    """
    A request that cannot be answered.

    Parameters
    ----------
    status
        HTTP status: 400, 404, 409 or 413.
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
