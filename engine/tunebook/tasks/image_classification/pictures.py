"""Pictures as batches: decoded once, cut and normalised as the model expects, augmented a batch at a time."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn import functional

from tunebook.balance import draw_order
from tunebook.errors import DataError, shown
from tunebook.machine import cores, memory_available
from tunebook.tasks.base import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tunebook.examples import Examples
    from tunebook.tasks.base import Model
    from tunebook.tasks.image_classification.recipe import ImageClassification

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
}
#: Share of the free memory that decoded pictures may take; beyond it they are decoded at every use.
_MEMORY_SHARE = 0.25


class Strength(NamedTuple):
    """
    How far augmentation goes.

    Attributes
    ----------
    area
        Smallest share of the picture that a crop keeps.
    aspect
        Largest change of the ratio of width to height, as a factor.
    turn
        Largest turn in radians.
    light
        Largest change of brightness and contrast, as a share.
    erase
        Chance that a rectangle of a picture is blanked.
    """

    area: float
    aspect: float
    turn: float
    light: float
    erase: float


STRENGTHS = {
    "light": Strength(area=0.65, aspect=1.15, turn=0.0, light=0.2, erase=0.0),
    "strong": Strength(area=0.35, aspect=1.33, turn=0.35, light=0.4, erase=0.25),
}


def decode(path: str, side: int, resample: Image.Resampling) -> np.ndarray:
    """
    Read a picture, upright, its shorter side brought to ``side`` pixels and the middle square cut out.

    Returns
    -------
    numpy.ndarray
        Shape (side, side, 3), uint8, RGB; what is transparent lies on white.

    Raises
    ------
    DataError
        The file cannot be read; the checks find it beforehand unless it changed since.
    """
    try:
        with Image.open(path) as opened:
            # JPEG decodes at an eighth, quarter or half of its size for a fraction of the time.
            opened.draft("RGB", (2 * side, 2 * side))
            image: Image.Image = ImageOps.exif_transpose(opened)
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                coloured = image.convert("RGBA")
                image = Image.new("RGBA", coloured.size, "white")
                image.alpha_composite(coloured)
            image = _to_rgb(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        msg = f"picture {shown(path)} cannot be read: {error}; run the checks again, or remove it"
        raise DataError(msg) from None
    scale = side / min(image.size)
    # Only the middle square is resized: a panorama costs no more than a square.
    middle = side / scale
    left, top = (image.width - middle) / 2, (image.height - middle) / 2
    square = image.resize((side, side), resample, box=(left, top, left + middle, top + middle))
    return np.asarray(square)


def short_side(path: str) -> int:
    """Return the length in pixels of a picture's shorter side; 0 if it cannot be read."""
    try:
        with Image.open(path) as opened:
            return min(opened.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        # Pillow's own conversion clips everything above 255 to white.
        values = np.asarray(image, dtype=np.float32)
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray(((values - low) * (255.0 / max(high - low, 1e-6))).astype(np.uint8))
    return image.convert("RGB")


class PictureReader:
    """
    Makes batches of pictures for one model.

    Parameters
    ----------
    examples
        Their ``content`` is the path of a file.
    recipe
        Its ``image_size``, ``augment``, ``mixup``, ``batch_size`` and ``seed``.
    model
        Its ``settings`` say how pictures are prepared.
    """

    def __init__(self, examples: Examples, recipe: ImageClassification, model: Model) -> None:
        self._paths = examples.frame["content"].tolist()
        self._targets = torch.from_numpy(examples.target_shares())
        self._recipe = recipe
        self._size = recipe.image_size
        self._side = max(self._size, round(self._size / float(model.settings["crop_pct"])))
        self._resample = _FILTERS.get(str(model.settings["interpolation"]), Image.Resampling.BICUBIC)
        self._mean = torch.tensor(model.settings["mean"]).view(1, 3, 1, 1) * 255.0
        self._std = torch.tensor(model.settings["std"]).view(1, 3, 1, 1) * 255.0
        self._store: np.ndarray | None = None
        if len(self._paths) * self._side**2 * 3 <= _MEMORY_SHARE * memory_available():
            self._store = np.empty((len(self._paths), self._side, self._side, 3), np.uint8)
        self._stored = np.zeros(len(self._paths), bool)

    def epoch_batches(self, rows: np.ndarray, weights: np.ndarray | None, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch, in order."""
        order = draw_order(rows, weights, np.random.default_rng([self._recipe.seed, 11, epoch]))
        size = self._recipe.batch_size
        return [order[k : k + size] for k in range(0, len(order), size)]

    def training_batches(self, rows: np.ndarray, epoch: int, step: int, part: slice) -> list[Batch]:
        """Return the examples ``rows[part]`` of a step as one batch: BatchNorm has to see them together."""
        return [self._training_batch(rows, epoch, step, part)]

    def _training_batch(self, rows: np.ndarray, epoch: int, step: int, part: slice) -> Batch:
        rng = np.random.default_rng([self._recipe.seed, 17, epoch, step])
        strength = STRENGTHS.get(self._recipe.augment)
        draws = _Draws.make(rng, len(rows), strength) if strength else None
        targets = self._targets[torch.from_numpy(rows)]
        if not self._recipe.mixup:
            return Batch({"x": self._augmented(rows[part], draws and draws.part(part))}, targets[part])
        share = float(rng.beta(self._recipe.mixup, self._recipe.mixup))
        partner = torch.from_numpy(rng.permutation(len(rows)))
        whole = self._augmented(rows, draws)
        mixed = share * whole + (1.0 - share) * whole[partner]
        return Batch({"x": mixed[part]}, (share * targets + (1.0 - share) * targets[partner])[part])

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        return [rows[k : k + 32] for k in range(0, len(rows), 32)]

    def inputs(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the middle of some pictures, normalised: ``x`` of shape (n, 3, size, size), float32, channels last."""
        edge = (self._side - self._size) // 2
        cut = self._pictures(rows)[:, edge : edge + self._size, edge : edge + self._size]
        return {"x": self._normalise(torch.from_numpy(np.ascontiguousarray(cut)).permute(0, 3, 1, 2).float())}

    def _normalise(self, pictures: Tensor) -> Tensor:
        return pictures.sub_(self._mean).div_(self._std)

    def _pictures(self, rows: np.ndarray) -> np.ndarray:
        """Return decoded pictures, shape (n, side, side, 3), uint8, and keep them if there is room."""
        if self._store is None:
            return np.stack(self._decode([self._paths[r] for r in rows]))
        new = np.unique(rows[~self._stored[rows]])
        if len(new):
            for row, picture in zip(new, self._decode([self._paths[r] for r in new]), strict=True):
                self._store[row] = picture
            self._stored[new] = True
        found: np.ndarray = self._store[rows]
        return found

    def _decode(self, paths: Sequence[str]) -> list[np.ndarray]:
        # The filters of warnings belong to the whole process, so they are set once around all threads.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
                return list(pool.map(lambda path: decode(path, self._side, self._resample), paths))

    def _augmented(self, rows: np.ndarray, draws: _Draws | None) -> Tensor:
        if draws is None:
            return self.inputs(rows)["x"]
        pictures = torch.from_numpy(self._pictures(rows)).permute(0, 3, 1, 2).float()
        grid = functional.affine_grid(
            torch.from_numpy(draws.affine), [len(rows), 3, self._size, self._size], align_corners=False
        )
        warped = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        middle = warped.mean(dim=(1, 2, 3), keepdim=True)
        light, contrast = (torch.from_numpy(v).view(-1, 1, 1, 1) for v in (draws.light, draws.contrast))
        lit = ((warped - middle) * contrast + middle).mul_(light).clamp_(0.0, 255.0)
        for row, (top, left, bottom, right) in enumerate((draws.erased * self._size).astype(int).tolist()):
            lit[row, :, top:bottom, left:right] = self._mean[0]
        return self._normalise(lit).contiguous(memory_format=torch.channels_last)


class _Draws(NamedTuple):
    """The random numbers of a batch: one row a picture."""

    affine: np.ndarray
    light: np.ndarray
    contrast: np.ndarray
    erased: np.ndarray

    @classmethod
    def make(cls, rng: np.random.Generator, count: int, strength: Strength) -> _Draws:
        area = rng.uniform(strength.area, 1.0, count)
        aspect = np.exp(rng.uniform(-1.0, 1.0, count) * np.log(strength.aspect))
        wide = np.minimum(np.sqrt(area * aspect), 1.0)
        high = np.minimum(np.sqrt(area / aspect), 1.0)
        across = rng.uniform(-1.0, 1.0, count) * (1.0 - wide)
        down = rng.uniform(-1.0, 1.0, count) * (1.0 - high)
        flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)  # noqa: PLR2004
        turn = rng.uniform(-strength.turn, strength.turn, count)
        cos, sin = np.cos(turn), np.sin(turn)
        affine = np.stack(
            [
                np.stack([flip * wide * cos, -high * sin, across], axis=1),
                np.stack([flip * wide * sin, high * cos, down], axis=1),
            ],
            axis=1,
        )
        light = rng.uniform(1.0 - strength.light, 1.0 + strength.light, count)
        contrast = rng.uniform(1.0 - strength.light, 1.0 + strength.light, count)
        corner, edge = rng.uniform(0.0, 0.8, (count, 2)), rng.uniform(0.15, 0.4, (count, 2))
        hit = rng.random(count) < strength.erase
        erased = np.where(hit[:, None], np.concatenate([corner, np.minimum(corner + edge, 1.0)], axis=1), 0.0)
        return cls(affine.astype(np.float32), light.astype(np.float32), contrast.astype(np.float32), erased)

    def part(self, part: slice) -> _Draws:
        return _Draws(*(values[part] for values in self))
