"""Which files are pictures: one list, made from what Pillow opens on this machine."""

from __future__ import annotations

from functools import cache
from pathlib import PurePath

#: What Pillow opens by starting another program, or knows by name only: these are no pictures here.
_LEFT_OUT = frozenset({"BUFR", "EPS", "FPX", "GBR", "GRIB", "HDF5", "IPTC", "MIC", "MPEG", "PCD", "PDF", "WMF"})
#: What is told by the first bytes of a file, whatever its name; HEIF counts where a plug-in of Pillow's opens it.
_TOLD_BY_CONTENT = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "MPO", "HEIF",
)  # fmt: skip


def _opened() -> dict[str, str]:
    """Return ending -> format, of those that Pillow opens here."""
    # Pillow takes a tenth of a second to load all formats; a plug-in may add one at any time.
    from PIL import Image  # noqa: PLC0415

    Image.init()
    return _those(len(Image.OPEN), len(Image.EXTENSION))


@cache
def _those(*_: int) -> dict[str, str]:
    from PIL import Image  # noqa: PLC0415

    known = Image.registered_extensions()
    return {
        ending: name for ending, name in sorted(known.items()) if name in Image.OPEN and name.upper() not in _LEFT_OUT
    }


def suffixes() -> frozenset[str]:
    """Return the endings of pictures, lower case with the dot."""
    return frozenset(_opened())


def has_picture_name(name: str) -> bool:
    """Whether a file's name ends as a picture's does."""
    return PurePath(name).suffix.lower() in _opened()


def formats_of(name: str) -> tuple[str, ...]:
    """
    Return the names of the formats that a file may have.

    A file is what its first bytes say: a JPEG picture named ``x.png`` is read. Formats without a mark of their own,
    such as TGA, are tried on files of their ending only: anything could be taken for one of them.

    Parameters
    ----------
    name
        Name or path of the file.
    """
    from PIL import Image  # noqa: PLC0415

    own = _opened().get(PurePath(name).suffix.lower(), "")
    here = [name for name in _TOLD_BY_CONTENT if name in Image.OPEN]
    return (*here, own) if own and own not in here else tuple(here)


def is_picture(path: str) -> bool:
    """Whether the first bytes of a file, whose name does not say it, are those of a picture."""
    from PIL import Image  # noqa: PLC0415

    try:
        with Image.open(path, formats=formats_of(path)):
            return True
    except Exception:  # noqa: BLE001 - Pillow's formats raise almost anything for a file of another kind
        return False
