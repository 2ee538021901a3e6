"""The checks of pictures: files that cannot be read, pictures that are there twice, and too few or too small ones."""

from __future__ import annotations

import hashlib
import os
import stat
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tunebook.duplicates import close_codes, find_duplicates
from tunebook.errors import shown
from tunebook.findings import Finding, Findings, few_examples, imbalance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

#: What is read as a picture. Pillow knows more, among them PostScript, for which it starts another program.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
MAX_FILE_BYTES = 200_000_000

_MAX_THREADS = 8
_CASES_SHOWN = 3

_SIDE = 16
#: JPEG files are decoded no larger than needed to make a thumbnail of them.
_DRAFT_SIDE = 4 * _SIDE

# Measured with 16 x 16 thumbnails of 2,062 photographs of hands (100 px) and 300 drawings in garish
# colours (128 px): a JPEG of quality 60, one of 70 % of the size or 5 % brighter stays below a mean
# of 2.0, a block of 11 (99 % of them below 9.1) and above a correlation of 0.995; the two most
# alike of different photographs have a mean of 5.3, a block of 18 and a correlation of 0.98. In
# pictures below 48 px, a JPEG of low quality changes more than this and is not found.
#: Largest mean absolute difference of two near duplicates, in levels of 255, once their light is evened out.
MAX_MEAN = 3.0
#: Largest difference of any eighth by eighth of the picture, in any colour: what tells two skin colours apart.
MAX_BLOCK = 10.0
#: Smallest correlation of the thumbnails, so that pictures of little contrast must agree all the better.
MIN_CORRELATION = 0.985
#: Largest change of light, as a factor.
MAX_GAIN = 1.06
#: Smallest standard deviation of a thumbnail, in levels of 255, that leaves something to compare.
MIN_CONTRAST = 2.0


def check_pictures(examples: Examples, recipe: Recipe, *, max_megapixels: float = 50.0) -> Findings:
    """
    Look at every picture once and say what is wrong with them.

    Parameters
    ----------
    examples
        Their ``content`` is the path of a file.
    recipe
        Gives ``min_per_class`` and, if it has one, ``image_size``.
    max_megapixels
        Pictures with more are refused by what their header says, without decoding them.

    Returns
    -------
    Findings
        What cannot be read or is too large, what is there twice, and then, of what is left
        without those, the classes with too few examples, imbalance and small pictures.
    """
    looks = _look_at_all(examples.frame["content"].tolist(), max_megapixels * 1e6)
    found = [
        *_refused(examples, looks, "unreadable", "cannot be read as a picture"),
        *_refused(examples, looks, "too large", f"are above {max_megapixels:g} megapixels or 200 MB"),
        *find_duplicates(examples, [look.key for look in looks], _near_pairs(looks)),
    ]
    left = examples.without(i for f in found for i in f.drop)
    few = few_examples(left, recipe.min_per_class)
    left = left.without((i for f in few for i in f.drop), (c for f in few for c in f.drop_classes))
    size = int(getattr(recipe, "image_size", 0) or 0)
    return Findings(examples, (*found, *few, *imbalance(left), *_small(examples, set(left.frame["id"]), looks, size)))


# One file.


@dataclass(frozen=True)
class _Look:
    """What one look at a file tells: either a kind of problem with the reason, or the rest."""

    problem: str = ""
    reason: str = ""
    key: str | None = None
    shorter: int = 0
    thumbnail: np.ndarray | None = None


class _RefusedError(Exception):
    """A file is not taken, for a problem of this kind and with this reason."""

    def __init__(self, problem: str, reason: str) -> None:
        super().__init__(problem, reason)
        self.look = _Look(problem, reason)


def _look_at_all(contents: Sequence[object], max_pixels: float) -> list[_Look]:
    threads = min(os.cpu_count() or 1, _MAX_THREADS)
    # Pillow warns of large or odd files, which are judged here. The filters belong to the whole
    # process, so they are set once around all threads and not by each of them.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
            return list(pool.map(partial(_look_at, max_pixels=max_pixels), contents))


def _look_at(content: object, max_pixels: float) -> _Look:
    try:
        raw = _read(content)
        return _decode(raw, max_pixels)
    except _RefusedError as refused:
        return refused.look
    except Image.DecompressionBombError:
        return _Look("too large", "more pixels than Pillow opens")
    except UnidentifiedImageError:
        return _Look("unreadable", f"not a whole picture of a known kind ({', '.join(FORMATS)})")
    except FileNotFoundError:
        return _Look("unreadable", "no such file")
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise almost anything for a broken file
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return _Look("unreadable", shown(reason).strip("'\""))


def _read(content: object) -> bytes:
    if not isinstance(content, str | os.PathLike) or not str(content):
        raise _RefusedError("unreadable", f"the path is {shown(content, 40)}, not text")
    path = Path(content)
    status = path.stat()
    # A pipe would be waited for without end.
    if not stat.S_ISREG(status.st_mode):
        raise _RefusedError("unreadable", "not a file")
    if status.st_size > MAX_FILE_BYTES:
        raise _RefusedError("too large", f"{status.st_size / 1e6:.0f} MB")
    raw = path.read_bytes()
    if not raw:
        raise _RefusedError("unreadable", "empty file")
    return raw


def _decode(raw: bytes, max_pixels: float) -> _Look:
    with Image.open(BytesIO(raw), formats=FORMATS) as image:
        size = image.size
        if size[0] * size[1] > max_pixels:
            raise _RefusedError("too large", f"{size[0]} x {size[1]} pixels")
        image.draft("RGB", (_DRAFT_SIDE, _DRAFT_SIDE))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        # Of Pillow's filters, this one changes least when a picture is resized.
        small = _to_rgb(image).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
    return _Look(key=hashlib.sha256(raw).hexdigest(), shorter=min(size), thumbnail=np.asarray(small))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode[0] not in "IF":
        return image.convert("RGB")
    # Pillow cuts 16 and 32 bits off at 255, after which most such pictures look white.
    pixels = np.nan_to_num(np.asarray(image, dtype=np.float32))
    span = max(float(pixels.max() - pixels.min()), 1e-12)
    return Image.fromarray(((pixels - pixels.min()) * (255.0 / span)).astype(np.uint8)).convert("RGB")


# Findings.


def _refused(examples: Examples, looks: Sequence[_Look], problem: str, text: str) -> list[Finding]:
    rows = [row for row, look in enumerate(looks) if look.problem == problem]
    if not rows:
        return []
    ids = tuple(examples.frame["id"].iloc[rows])
    named = ", ".join(f"{shown(i)} ({looks[row].reason})" for i, row in zip(ids, rows[:_CASES_SHOWN], strict=False))
    return [Finding(problem, f"{len(rows)} of {len(looks)} pictures {text}: {named}", ids, ids)]


def _small(examples: Examples, left: set[str], looks: Sequence[_Look], image_size: int) -> list[Finding]:
    everyone = examples.frame["id"].tolist()
    rows = [row for row, look in enumerate(looks) if 2 * look.shorter < image_size and everyone[row] in left]
    if not rows:
        return []
    ids = tuple(everyone[row] for row in rows)
    smallest = min(rows, key=lambda row: looks[row].shorter)
    text = (
        f"{len(rows)} of {len(left)} pictures are blown up more than twice to image_size={image_size}; the smallest, "
        f"{shown(everyone[smallest])}, has {looks[smallest].shorter} pixels"
    )
    return [Finding("small pictures", text, ids)]


# Near duplicates.


def _near_pairs(looks: Sequence[_Look]) -> np.ndarray:
    """Return pairs of rows with nearly the same picture, shape (pairs, 2); of equal files the first stands for all."""
    firsts: dict[str, int] = {}
    for row, look in enumerate(looks):
        if look.key is not None:
            firsts.setdefault(look.key, row)
    rows = np.array(list(firsts.values()), dtype=np.int64)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    thumbnails = np.stack([t for row in rows if (t := looks[row].thumbnail) is not None])
    light = thumbnails @ np.array([0.299, 0.587, 0.114], np.float32)
    worth = np.flatnonzero(light.std(axis=(1, 2)) >= MIN_CONTRAST)
    rows, thumbnails, light = rows[worth], thumbnails[worth], light[worth]
    pairs = close_codes(_codes(light), light.mean(axis=(1, 2)))
    # In pieces that fit a processor's cache.
    pieces = [pairs[i : i + 256] for i in range(0, len(pairs), 256)]
    near = [piece[_same_picture(thumbnails[piece[:, 0]], thumbnails[piece[:, 1]])] for piece in pieces]
    found: np.ndarray = rows[np.concatenate([np.empty((0, 2), np.int64), *near])]
    return found


def _codes(light: np.ndarray) -> np.ndarray:
    """
    Make 64-bit codes that are close for nearly the same pictures.

    Each bit says whether one of the 64 lowest frequencies of the cosine transform is clearly
    positive. The usual hash compares neighbouring pixels instead, and on the even ground of a
    drawing its bits fall by chance.

    Parameters
    ----------
    light
        Shape (n, 16, 16): the thumbnails in grey.

    Returns
    -------
    numpy.ndarray
        Shape (n,), uint64.
    """
    steps = np.arange(_SIDE)
    basis = np.cos(np.pi / _SIDE * np.outer(steps, steps + 0.5)).astype(np.float32)
    waves = basis @ light @ basis.T
    down, across = np.divmod(np.arange(_SIDE**2), _SIDE)
    lowest = np.lexsort((down, down + across))[1:65]
    waves = waves.reshape(-1, _SIDE**2)[:, lowest]
    bits = waves > 0.2 * np.abs(waves).mean(axis=1, keepdims=True)
    # Each band gets low and high frequencies: the low ones alone are alike in too many pictures.
    spread = bits.reshape(-1, 16, 4).swapaxes(1, 2).reshape(-1, 64)
    return np.packbits(spread, axis=1).view(np.uint64)[:, 0]


def _same_picture(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tell which pairs of thumbnails, each of shape (n, 16, 16, 3), show the same picture; shape (n,), bool."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    gain = _gain(a, b)[:, None, None, None]
    # Brighten the darker one, as a bright ground is cut off at 255.
    rest = np.minimum(a * np.maximum(gain, 1.0), 255.0) - np.minimum(b * np.maximum(1.0 / gain, 1.0), 255.0)
    blocks = rest.reshape(-1, _SIDE // 2, 2, _SIDE // 2, 2, 3).mean(axis=(2, 4))
    close = (np.abs(rest).mean(axis=(1, 2, 3)) <= MAX_MEAN) & (np.abs(blocks).max(axis=(1, 2, 3)) <= MAX_BLOCK)
    same: np.ndarray = close & (_correlation(a, b) >= MIN_CORRELATION)
    return same


def _gain(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return by which factor ``b`` is brighter than ``a``, where neither is nearly white and so may be cut off."""
    usable = np.maximum(a, b) < 240.0  # noqa: PLR2004
    total_a, total_b = ((x * usable).sum(axis=(1, 2, 3)) + 1.0 for x in (a, b))
    gain: np.ndarray = np.clip(total_b / total_a, 1.0 / MAX_GAIN, MAX_GAIN)
    return gain


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = ((x - x.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(x), -1) for x in (a, b))
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: np.ndarray = np.einsum("ij,ij->i", a, b) / np.maximum(size, 1e-6)
    return found
