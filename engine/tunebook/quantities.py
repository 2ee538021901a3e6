"""Numbers of bytes and times, in few words."""

from __future__ import annotations

import time


def amount(size: float) -> str:
    """
    Write a number of bytes for people.

    Parameters
    ----------
    size
        Bytes, at least 0.

    Returns
    -------
    str
        Such as ``"340 B"``, ``"1.2 kB"`` or ``"14 MB"``, in powers of 1,000.
    """
    for unit in ("B", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1000
    return f"{size:.1f} GB"


def age(moment: float) -> str:
    """
    Write how long ago something was.

    Parameters
    ----------
    moment
        Seconds since 1970; what is yet to come was now.

    Returns
    -------
    str
        Such as ``"12 s"``, ``"5 min"`` or ``"3 d"``, rounded down.
    """
    seconds = time.time() - moment
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds) // 1:.0f} s"
