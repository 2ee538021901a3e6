"""What data and model do not allow is refused in one line before a kernel or a run directory exists."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from tunebook import batch, preflight
from tunebook.errors import DataError, ModelError, RecipeError, TunebookError
from tunebook.preflight import refuse_beforehand
from tunebook.preflight_child import check
from tunebook.tasks import recipe_class
from tunebook.templates import find_notebook

if TYPE_CHECKING:
    from pathlib import Path


Picture = recipe_class("image-classification")
Text = recipe_class("text-classification")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for at, name in enumerate(("elm", "oak")):
        (folder / name).mkdir()
        for number in range(6):
            Image.new("RGB", (24, 24), (40 * number, 100 * at, 7)).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Take down what a process would be asked, and let it allow everything."""
    requests: list[bytes] = []

    def run(_command: object, *, input: bytes, **_: Any) -> subprocess.CompletedProcess[bytes]:  # noqa: A002
        requests.append(input)
        return subprocess.CompletedProcess([], 0, b"{}")

    monkeypatch.setattr(preflight.subprocess, "run", run)
    return requests


@pytest.mark.parametrize(
    "recipe",
    [
        Picture(),
        Picture(data="photos", epochs=9, lr=1e-2, class_weights="balanced", freeze=-2, unfreeze=[[2, -3], [4, "none"]]),
        Text(),
        Text(data="tweets.csv", dropout=0.3, freeze="none", unfreeze=[]),
    ],
)
def test_nothing_is_loaded_for_what_any_data_and_model_allow(recipe: Any, asked: list[bytes]) -> None:
    refuse_beforehand(recipe)
    assert asked == []


@pytest.mark.parametrize(
    "recipe",
    [
        Picture(freeze=-4),
        Picture(unfreeze=[[1, ["blocks.*"]]]),
        Picture(model="resnet50"),
        Picture(image_size=64),
        Picture(class_weights={"oak": 2.0}),
        Picture(monitor="gap"),
        Picture(monitor="roc_auc"),
        Picture(threshold="f1"),
        Picture(threshold=0.3),
        Picture(positive="oak"),
        Picture(sensitive=["age"]),
        Text(max_length=4000),
        Text(text="tweet"),
    ],
)
def test_data_and_model_are_asked_for_what_they_alone_know(recipe: Any, asked: list[bytes]) -> None:
    refuse_beforehand(recipe)
    assert len(asked) == 1


def test_a_model_that_allowed_it_is_not_asked_again(asked: list[bytes], tmp_path: Path) -> None:
    for _ in range(2):
        refuse_beforehand(Picture(model="resnet18", freeze=-5))
    assert len(asked) == 1
    refuse_beforehand(Picture(model="resnet18", freeze=-6))
    assert len(asked) == 2
    for _ in range(2):  # a folder may hold another model the next time
        refuse_beforehand(Picture(model=str(tmp_path)))
    assert len(asked) == 4


@pytest.mark.parametrize("output", [b"", b"Segmentation fault", b"[1]", b'{"error": 3}', b"\xff"])
def test_a_check_that_dies_refuses_nothing(output: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], -11, output))
    refuse_beforehand(Picture(model=f"dies {output!r}"))


@pytest.mark.parametrize(
    ("values", "kind", "line"),
    [
        ({"freeze": 999}, RecipeError, "freeze=999: this model has"),
        ({"unfreeze": [[1, ["no_such.*"]]]}, RecipeError, "no_such"),
        ({"class_weights": {"okk": 2.0}}, RecipeError, "class_weights: no class 'okk'; did you mean 'oak'?"),
        ({"sampler": {"okk": 2.0}}, RecipeError, "sampler: no class 'okk'"),
        ({"class_weights": {"oak": 0.0, "elm": 0.0}}, RecipeError, "every class has weight 0"),
        ({"model": "no_such"}, ModelError, "'no_such' is no timm model"),
        ({"model": "../../etc/passwd"}, ModelError, "no such folder"),
        ({"model": "/etc/passwd"}, ModelError, "no such folder"),
        ({"sensitive": ["age"]}, DataError, "no column 'age'"),
        ({"monitor": "gap"}, RecipeError, "monitor"),
        ({"positive": "oka"}, RecipeError, "positive='oka': no such class; did you mean 'oak'?"),
        ({"mitigate": "reweight"}, RecipeError, "no sensitive column"),
    ],
)
def test_what_does_not_fit_is_one_line(
    photos: Path, values: dict[str, Any], kind: type[TunebookError], line: str
) -> None:
    base = {"data": str(photos), "model": "test_resnet", "weights": "none", "freeze": "backbone", "unfreeze": []}
    with pytest.raises(kind, match=r"^[^\n]*$") as caught:
        check(Picture(**(base | values)), with_model=True)
    assert line in str(caught.value)


@pytest.mark.parametrize(("third", "is_refused"), [(6, True), (1, False)])
def test_a_class_that_will_be_dropped_does_not_count(
    tmp_path: Path, photos: Path, third: int, *, is_refused: bool
) -> None:
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "ash").mkdir()
    for number in range(third):
        shutil.copy(photos / "elm" / f"{number}.png", tmp_path / "photos" / "ash")
    recipe = Picture(data=str(tmp_path / "photos"), threshold=0.3)
    with pytest.raises(RecipeError, match="there are 3") if is_refused else nullcontext():
        check(recipe, with_model=False)


def test_a_refused_recipe_leaves_no_run_directory(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no class 'okk'"):
        batch.execute(
            find_notebook("image-classification"),
            {"data": str(photos), "class_weights": {"okk": 2.0}},
            runs_dir=str(tmp_path / "runs"),
        )
    assert not (tmp_path / "runs").exists()
