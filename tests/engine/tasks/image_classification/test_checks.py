"""Every picture is looked at once: what cannot be read, is too large, or is there twice is found."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tunebook.examples import Examples
from tunebook.tasks.image_classification.checks import check_pictures

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tunebook.findings import Findings

    Check = Callable[..., Findings]
    MakePicture = Callable[..., Path]


@pytest.fixture
def check(recipe: Callable[..., Any]) -> Check:
    """Check rows of ``(path, label, split)``; classes may have one example."""

    def check(rows: list[tuple[Any, str, str]], **values: Any) -> Findings:
        frame = pd.DataFrame(
            [(f"e{n}", label, split) for n, (_, label, split) in enumerate(rows)], columns=["id", "label", "split"]
        )
        frame.insert(1, "content", pd.Series([p if p is None else str(p) for p, _, _ in rows], dtype=object))
        examples = Examples(frame, tuple(sorted(frame["label"].unique())), "s")
        return check_pictures(examples, recipe(min_per_class=1, image_size=64, **values))

    return check


def by_kind(findings: Findings) -> dict[str, tuple[str, ...]]:
    remarks = ("class missing in a split", "imbalance", "too few examples")
    return {f.kind: f.drop for f in findings.items if f.kind not in remarks}


def test_good_pictures_give_no_finding(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    rows = [(make_picture(tmp_path / f"{n}.png", n), "a", "train") for n in range(5)]
    assert by_kind(check(rows)) == {}


def test_what_cannot_be_read_is_named_with_its_reason(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    good = make_picture(tmp_path / "good.jpg", 1, side=200)
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:900])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("<html>")
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    os.mkfifo(tmp_path / "pipe.png")
    bad = ["cut.jpg", "empty.png", "text.png", "script.png", "pipe.png", "gone.png"]
    rows: list[tuple[Any, str, str]] = [(tmp_path / name, "a", "train") for name in [*bad, "good.jpg"]]
    findings = check([*rows, (None, "a", "train"), (tmp_path, "a", "train")])
    assert by_kind(findings) == {"unreadable": ("e0", "e1", "e2", "e3", "e4", "e5", "e7", "e8")}
    assert "8 of 9 pictures cannot be read as a picture: 'e0' (" in findings.items[0].message
    assert "\n" not in findings.items[0].message


def test_a_huge_picture_is_refused_without_decoding_it(check: Check, tmp_path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(tmp_path / "huge.png")
    assert (tmp_path / "huge.png").stat().st_size < 100_000
    start = time.monotonic()
    findings = check([(tmp_path / "huge.png", "a", "train")])
    assert time.monotonic() - start < 0.5
    assert by_kind(findings) == {"too large": ("e0",)}
    assert "13000 x 13000 pixels" in findings.items[0].message


def test_a_decompression_bomb_is_too_large(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("RGB", (50, 50)).save(tmp_path / "bomb.png")
    assert by_kind(check([(tmp_path / "bomb.png", "a", "train")])) == {"too large": ("e0",)}


def test_exact_copies_are_found(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    path, other = make_picture(tmp_path / "a.png", 1), make_picture(tmp_path / "b.png", 2)
    (tmp_path / "c.png").write_bytes(path.read_bytes())
    rows = [(path, "a", "train"), (other, "a", "train"), (tmp_path / "c.png", "a", "train")]
    assert by_kind(check(rows)) == {"exact duplicate": ("e2",)}


def test_copies_under_two_labels_are_dropped_both(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    path = make_picture(tmp_path / "a.png", 1)
    assert by_kind(check([(path, "a", "train"), (path, "b", "train")])) == {"two labels": ("e0", "e1")}


def test_a_leak_across_splits_is_dropped_from_training(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    path = make_picture(tmp_path / "a.png", 1)
    assert by_kind(check([(path, "a", "test"), (path, "a", "train")])) == {"same in two splits": ("e1",)}


def change(path: Path, how: str, to: Path) -> Path:
    image = Image.open(path).convert("RGB")
    if how == "smaller":
        image.resize((90, 90), Image.Resampling.LANCZOS).save(to)
    elif how == "brighter":
        Image.fromarray(np.clip(np.asarray(image) * 1.04, 0, 255).astype(np.uint8)).save(to)
    else:
        image.save(to.with_suffix(".jpg"), quality=60)
        return to.with_suffix(".jpg")
    return to


@pytest.mark.parametrize("how", ["smaller", "brighter", "JPEG"])
def test_near_copies_are_found(check: Check, make_picture: MakePicture, tmp_path: Path, how: str) -> None:
    path = make_picture(tmp_path / "a.png", 1, side=128)
    near = change(path, how, tmp_path / "near.png")
    others = [(make_picture(tmp_path / f"o{n}.png", n + 5, side=128), "a", "train") for n in range(4)]
    assert by_kind(check([(path, "a", "train"), (near, "a", "test"), *others])) == {
        "near duplicate across splits": ("e0",)
    }
    assert by_kind(check([(path, "a", "train"), (near, "a", "train"), *others])) == {"near duplicate": ()}
    assert by_kind(check([(path, "a", "train"), (near, "b", "test"), *others])) == {
        "near duplicate with two labels": ()
    }


def test_a_turned_picture_with_the_same_blobs_is_another(
    check: Check, make_picture: MakePicture, tmp_path: Path
) -> None:
    path = make_picture(tmp_path / "a.png", 1)
    Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "b.png")
    assert by_kind(check([(path, "a", "train"), (tmp_path / "b.png", "a", "test")])) == {}


def test_even_pictures_are_not_near_copies(check: Check, tmp_path: Path) -> None:
    for n in range(4):
        Image.new("RGB", (64, 64), (60 * n, 0, 0)).save(tmp_path / f"{n}.png")
    assert by_kind(check([(tmp_path / f"{n}.png", "a", "train") for n in range(4)])) == {"one colour": ()}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_is_read(check: Check, tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    base = Image.fromarray(pixels)
    if mode == "I;16":
        base = Image.fromarray(pixels.astype(np.uint16) * 256)
    path = tmp_path / "x.tif"
    (base if mode == "I;16" else base.convert(mode)).save(path)
    assert by_kind(check([(path, "a", "train")])) == {}


def test_small_pictures_are_a_remark(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    rows = [
        (make_picture(tmp_path / "s.png", 1, side=31), "a", "train"),
        (make_picture(tmp_path / "m.png", 2, side=32), "a", "train"),
    ]
    findings = check(rows)
    assert by_kind(findings) == {"small pictures": ()}
    assert "has 31 pixels" in findings.items[-1].message


def test_classes_are_counted_after_what_is_dropped(check: Check, make_picture: MakePicture, tmp_path: Path) -> None:
    path = make_picture(tmp_path / "a.png", 1)
    rows = [(path, "a", "train"), (path, "b", "train"), (make_picture(tmp_path / "c.png", 2), "c", "train")]
    kinds = {f.kind: f.drop_classes for f in check(rows).items}
    assert kinds["too few examples"] == ("a", "b")


def test_no_warning_and_no_example_are_no_error(check: Check) -> None:
    assert check([]).items == ()


def test_drawings_that_differ_in_what_is_transparent_are_no_copies(check: Check, tmp_path: Path) -> None:
    across, down = np.meshgrid(np.arange(64), np.arange(64))
    colour = np.stack([across * 3, down * 3, np.full_like(across, 128)], axis=-1).astype(np.uint8)
    for n in range(6):
        shape = np.where((across - 10 * n - 6) ** 2 + (down - 32) ** 2 < 60, 255, 0).astype(np.uint8)
        Image.fromarray(np.dstack([colour, shape])).save(tmp_path / f"{n}.png")
    assert by_kind(check([(tmp_path / f"{n}.png", "a", "train") for n in range(6)])) == {}


def test_white_drawings_on_a_transparent_ground_are_a_remark(check: Check, tmp_path: Path) -> None:
    pixels = np.full((64, 64, 4), 255, np.uint8)
    pixels[:20, :, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "x.png")
    assert "show nothing but one colour" in check([(tmp_path / "x.png", "a", "train")]).items[-1].message


def test_further_frames_values_of_nothing_and_profiles_are_remarks(
    check: Check, make_picture: MakePicture, tmp_path: Path
) -> None:
    first, second = (Image.open(make_picture(tmp_path / f"{n}.png", n)) for n in (1, 2))
    for ending in ("gif", "tif", "webp", "png"):
        first.save(tmp_path / f"frames.{ending}", save_all=True, append_images=[second], lossless=True)
    values = np.asarray(first.convert("L")).astype(np.float32)
    values[0, 0] = np.nan
    Image.fromarray(values).save(tmp_path / "gap.tif")
    from PIL import ImageCms

    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    make_picture(tmp_path / "profile.png", 7, icc_profile=lab)
    make_picture(tmp_path / "srgb.png", 8, icc_profile=srgb)
    names = ["frames.gif", "frames.tif", "frames.webp", "frames.png", "gap.tif", "profile.png", "srgb.png"]
    found = {f.kind: f.ids for f in check([(tmp_path / name, "a", "train") for name in names]).items}
    assert found["several frames"] == ("e0", "e1", "e2", "e3")
    assert found["no data"] == ("e4",)
    assert found["colour profile"] == ("e5",)
