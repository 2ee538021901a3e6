"""Training on what a frozen trunk once gave ends where training through the whole model ends."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from tunebook import machine
from tunebook.baseline import measure_baselines
from tunebook.checkpoints import Checkpoints
from tunebook.control import Control
from tunebook.devices import Devices
from tunebook.errors import StorageError
from tunebook.examples import Examples
from tunebook.feature_locks import wait_to_fill
from tunebook.feature_store import FeatureStore
from tunebook.features import Features
from tunebook.feeds import CachedFeed, DirectFeed
from tunebook.predicting import extract_features
from tunebook.tasks import get_task, recipe_class
from tunebook.training import Trainer, TrainingStopped

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
sys.path.insert(0, str(Path(__file__).parents[1]))
import small_run
import tiny_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import MakePicture

#: One recipe with three boundaries: the head alone, then the last block with it, then all but the first stages.
GRADUAL: dict[str, Any] = {"epochs": 3, "freeze": "backbone", "unfreeze": [[1, -2], [2, 2]]}
SINGLE = [{"epochs": 2, "freeze": freeze, "unfreeze": []} for freeze in ("backbone", -2, 2)]
FAMILIES = (
    "test_efficientnet", "test_resnet", "test_vit", "test_convnext", "test_byobnet", "test_nfnet", "test_mambaout",
    "test_coatnet", "test_vit_relpos", "mobilenetv3_small_050",
)  # fmt: skip
LARGER = (
    "test_efficientnet_gn", "test_maxvit", "resnet10t", "convnext_atto", "regnety_002", "mobilenetv4_conv_small_035",
    "deit_tiny_patch16_224", "eva02_tiny_patch14_224", "densenet121", "cait_xxs24_224", "ghostnet_050",
)  # fmt: skip
KINDS = ("bert", "roberta", "distilbert", "deberta-v2", "modernbert", "gpt2")
MORE_KINDS = ("xlnet", "electra", "mpnet", "albert", "llama", "bart", "qwen2", "t5", "xlm")
#: Examples a step. What a kernel does last, and alone, may get other bits than the same example elsewhere in a batch,
#: so that equality to the bit is asked of full batches of eight.
BATCH = 8
#: Largest difference of a step's loss, in nats, where features are folded and kept in fp16, and where texts are padded
#: otherwise than in training. Random weights and BatchNorms over eight pictures of a pixel or four make the most of it.
CLOSE, PADDED = 2e-2, 1e-5


def _long(names: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.long) for name in names]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 27 pictures and a table of them, with splits of 16, 8 and 3."""
    folder = tmp_path_factory.mktemp("data")
    small_run.make_pictures(folder / "colours", count=9, side=40)
    named = [(f"colours/{name}/{number}.png", name) for number in range(9) for name in small_run.CLASSES]
    table = pd.DataFrame(named, columns=["path", "label"])
    table["split"] = ["train"] * 16 + ["validation"] * 8 + ["test"] * 3
    table.to_csv(folder / "pictures.csv", index=False)
    return folder / "pictures.csv"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Make a recipe for sentences and a small random model of a kind."""
    folder = tmp_path_factory.mktemp("texts")
    data = small_run.make_texts(folder / "data", count=8)

    def make(kind: str = "bert", **values: Any) -> Any:
        model = folder / kind
        if not model.exists():
            tiny_models.make_tiny(model, kind)
        same = {
            "data": str(data), "model": str(model), "max_length": 24, "batch_size": BATCH, "lr": 1e-3, "onnx": False,
            "device": "cpu", "precision": "fp32", "hidden_dropout": 0.1, "runs_dir": str(folder),
        }  # fmt: skip
        return recipe_class("text-classification")(**{**same, **GRADUAL, **values})

    return make


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def recipe(pictures: Path) -> Callable[..., Any]:
    """Make a recipe for pictures; everything random in the trainable rest is turned on."""

    def make(model: str = "test_efficientnet", **values: Any) -> Any:
        same = {
            "data": str(pictures), "model": model, "weights": "none", "image_size": 28 if "eva" in model else 32,
            "augment": "none", "batch_size": BATCH, "dropout": 0.2, "onnx": False, "device": "cpu", "precision": "fp32",
            "runs_dir": str(pictures.parent), "lr": 1e-3, "label_smoothing": 0.1,
        }  # fmt: skip
        return recipe_class("image-classification")(**{**same, **GRADUAL, **values})

    return make


def _trainer(
    recipe: Any, store: FeatureStore | None = None, alter: Callable[[Any], None] | None = None, **more: Any
) -> Trainer:
    task = get_task(recipe.task)
    examples = task.load_examples(recipe)
    model = task.load_model(recipe, examples.classes)
    if alter is not None:
        alter(model.module)
    reader = task.reader(examples, recipe, model)
    features = Features(task, recipe, examples, model, reader, store)
    return Trainer(task, recipe, examples, model, reader, Devices(recipe, model.module), features=features, **more)


@dataclass
class Outcome:
    """What a training came to."""

    trainer: Trainer
    losses: list[float | None] = field(default_factory=list)
    feeds: set[str] = field(default_factory=set)

    @property
    def features(self) -> Features:
        return self.trainer.features

    @property
    def words(self) -> str:
        return "\n".join(self.features.words)

    def weights(self) -> dict[str, torch.Tensor]:
        return self.trainer.model.module.state_dict()

    def require_same_bits(self, other: Outcome) -> None:
        assert self.losses == other.losses
        theirs = other.weights()
        assert [name for name, value in self.weights().items() if not torch.equal(value, theirs[name])] == []

    def furthest(self, other: Outcome) -> float:
        assert len(self.losses) == len(other.losses)
        return float(np.abs(np.array(self.losses, float) - np.array(other.losses, float)).max())


def _train(
    recipe: Any, store: FeatureStore | None = None, change: Callable[[Trainer], None] | None = None, **how: Any
) -> Outcome:
    found = Outcome(_trainer(recipe, store, **how))

    def on_step(trainer: Trainer) -> None:
        found.losses.append(trainer.last_loss)
        found.feeds.add(type(trainer.feed).__name__)
        if change is not None:
            change(trainer)

    found.trainer.fit(on_step=on_step)
    found.features.close()
    return found


def _uncached(recipe: Any, **how: Any) -> Outcome:
    return _train(recipe.changed(cache="off"), **how)


def _exact(recipe: Any) -> Any:
    return recipe.changed(feature_precision="exact")


# Correct before fast.


@pytest.mark.parametrize("model", [*FAMILIES, *_long(LARGER)])
def test_pictures_train_to_the_same_bits_and_close_to_them_with_fp16(
    model: str, recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = recipe(model)
    whole, exact, close = _uncached(wanted), _train(_exact(wanted), store), _train(wanted, store)
    for cached in (exact, close):
        assert "CachedFeed" in cached.feeds, cached.words
        assert cached.features.savings.computed == 24
    exact.require_same_bits(whole)
    for mine, theirs in zip(exact.trainer.progress.history, whole.trainer.progress.history, strict=True):
        # Evaluation runs all together what is cached, which moves last bits.
        assert mine["validation"]["loss"] == pytest.approx(theirs["validation"]["loss"], abs=1e-5)
        assert mine["running_loss"] == theirs["running_loss"]
    assert close.furthest(whole) <= CLOSE


@pytest.mark.long
@pytest.mark.parametrize("model", [*FAMILIES, *LARGER])
@pytest.mark.parametrize("freeze", SINGLE, ids=lambda freeze: str(freeze["freeze"]))
def test_pictures_train_to_the_same_bits_under_each_freeze(
    model: str, freeze: dict[str, Any], recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = recipe(model, **freeze)
    whole, exact = _uncached(wanted), _train(_exact(wanted), store)
    exact.require_same_bits(whole)
    if "uncached" not in exact.words:
        assert _train(wanted, store).furthest(whole) <= CLOSE


@pytest.mark.parametrize("kind", [*KINDS, *_long(MORE_KINDS)])
def test_texts_train_to_the_same_losses(kind: str, texts: Callable[..., Any], store: FeatureStore) -> None:
    wanted = texts(kind)
    whole, exact, close = _uncached(wanted), _train(_exact(wanted), store), _train(wanted, store)
    assert "CachedFeed" in exact.feeds
    # Not to the bit: a text is padded to its neighbours in a batch, and those are others in extraction.
    assert exact.furthest(whole) <= PADDED
    assert close.furthest(whole) <= CLOSE


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_texts_of_one_length_train_to_the_same_bits(
    kind: str, texts: Callable[..., Any], tmp_path: Path, store: FeatureStore
) -> None:
    rng = np.random.default_rng(3)
    rows = [
        {"text": " ".join(rng.choice(tiny_models.WORDS, 6)), "label": "ab"[k % 2], "split": split}
        for k, split in enumerate(["train"] * 16 + ["validation"] * 8 + ["test"] * 4)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "even.csv", index=False)
    wanted = texts(kind, data=str(tmp_path / "even.csv"))
    exact = _train(_exact(wanted), store)
    assert "CachedFeed" in exact.feeds
    exact.require_same_bits(_uncached(wanted))


def test_batch_norms_that_train_are_not_folded_and_frozen_ones_do_not_move(
    recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = recipe(freeze=-2, unfreeze=[], epochs=2)
    start = {name: value.clone() for name, value in _trainer(wanted).model.module.state_dict().items()}
    cached, whole = _train(wanted, store), _uncached(wanted)
    assert any("BatchNorms folded" in line for line in cached.features.words)
    trained = cached.trainer.model.stages
    seen = {"frozen": 0, "trains": 0}
    for name, part in cached.trainer.model.module.named_modules():
        if not isinstance(part, torch.nn.BatchNorm2d):
            continue
        trains = trained.trains(name, trained.frozen)
        seen["trains" if trains else "frozen"] += 1
        mean = f"{name}.running_mean"
        assert torch.equal(cached.weights()[mean], start[mean]) != trains
        torch.testing.assert_close(cached.weights()[mean], whole.weights()[mean], rtol=0.02, atol=0.02)
    assert min(seen.values()) > 0
    assert list(cached.weights()) == list(start)


def test_dropout_and_stochastic_depth_act_in_the_cached_rest(recipe: Callable[..., Any], store: FeatureStore) -> None:
    plain = recipe("test_vit", freeze=-2, unfreeze=[], epochs=1, dropout=0.0)
    losses = [
        _train(plain.changed(**values), store).losses
        for values in ({}, {"dropout": 0.5}, {"stochastic_depth": 0.9}, {"dropout": 0.5})
    ]
    # The first step's logits are zero whatever is dropped.
    assert losses[0][1:] != losses[1][1:]
    assert losses[0][1:] != losses[2][1:]
    assert losses[1] == losses[3]


def test_freeze_and_dropout_change_between_steps_as_without_the_cache(
    recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = recipe(freeze=-2, unfreeze=[], epochs=5)

    def change(trainer: Trainer) -> None:
        if not trainer.progress.in_epoch:
            return
        if trainer.progress.step == 1:
            trainer.set_dropout({"head": 0.6})
        freezes: dict[int, Any] = {3: 2, 5: "backbone", 7: -2}  # shallower, deeper over what has trained, and back
        if trainer.progress.step in freezes:
            trainer.set_freeze(freezes[trainer.progress.step])

    cached, whole = _train(_exact(wanted), store, change), _uncached(wanted, change=change)
    assert cached.feeds == {"CachedFeed"}
    cached.require_same_bits(whole)
    assert _uncached(wanted).losses[1:] != whole.losses[1:]


@pytest.mark.parametrize("model", ["test_efficientnet", "test_vit"])
def test_views_take_turns_with_the_cache_and_without_it(
    model: str, recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = recipe(model, freeze="backbone", unfreeze=[], epochs=4, augment="light", views=2)
    cached, whole = _train(_exact(wanted), store), _uncached(wanted)
    cached.require_same_bits(whole)
    # Training's in two views, and all that are evaluated as they are.
    assert cached.features.savings.computed == 2 * 16 + 24
    reader = cached.trainer.reader
    assert [reader.training_view(epoch, repeats=True) for epoch in range(4)] == [0, 1, 0, 1]
    rows = cached.trainer.examples.rows("train")
    first, again, other = (reader.inputs(rows, view)["x"] for view in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_without_views_each_epoch_is_new_and_trains_the_same(recipe: Callable[..., Any], store: FeatureStore) -> None:
    wanted = recipe(freeze="backbone", unfreeze=[], epochs=2, augment="light", views=0)
    cached, whole = _train(_exact(wanted), store), _uncached(wanted)
    cached.require_same_bits(whole)
    other = _uncached(wanted.changed(views=1))
    assert other.losses[:2] == whole.losses[:2]
    assert other.losses[2:] != whole.losses[2:]


def test_mixup_trains_through_the_whole_model_and_is_evaluated_from_the_cache(
    recipe: Callable[..., Any], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(freeze="backbone", unfreeze=[], epochs=2, augment="light", mixup=0.4)
    whole = _uncached(wanted)
    direct: list[int] = []
    real = DirectFeed.logits

    def logits(self: DirectFeed, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if torch.is_grad_enabled():
            direct.append(len(inputs["x"]))
        return real(self, inputs)

    monkeypatch.setattr(DirectFeed, "logits", logits)
    cached = _train(_exact(wanted), store)
    cached.require_same_bits(whole)
    assert "CachedFeed" in cached.feeds
    assert cached.features.savings.computed == 24
    assert direct == [BATCH] * 4  # the four steps


# Addresses.


def _passes(recipe: Any, store: FeatureStore, alter: Callable[[Any], None] | None = None) -> int:
    """Return how many examples the trunk computes at the beginning of a training."""
    trainer = _trainer(recipe, store, alter)
    assert isinstance(trainer.feed, CachedFeed), trainer.features.words
    trainer.features.close()
    return trainer.features.savings.computed


@pytest.fixture
def kept(recipe: Callable[..., Any], store: FeatureStore, tmp_path: Path) -> Any:
    """Make a recipe whose seed does not change its weights, and fill the store with its features."""
    from tunebook.checkpoints import save_tensors

    base = recipe(freeze="backbone", unfreeze=[], epochs=2)
    save_tensors(_trainer(base).model.module.state_dict(), tmp_path / "weights.safetensors")
    base = base.changed(weights=str(tmp_path / "weights.safetensors"))
    assert _passes(base, store) == 24
    assert _passes(base, store) == 0
    return base


HITS: list[dict[str, Any]] = [
    {"dropout": 0.7}, {"class_weights": "balanced"}, {"sampler": "balanced"}, {"lr": 0.1}, {"epochs": 3},
    {"batch_size": 4}, {"seed": 5}, {"weight_decay": 0.3}, {"label_smoothing": 0.0}, {"stochastic_depth": 0.3},
    {"mixup": 0.3}, {"clip_norm": 0.0}, {"monitor": "loss"},
]  # fmt: skip


def test_what_changes_no_activation_is_a_hit(kept: Any, store: FeatureStore) -> None:
    found = [(values, _passes(kept.changed(**values), store)) for values in HITS]
    assert found == [(values, 0) for values in HITS]


def test_what_changes_an_activation_is_a_new_address(kept: Any, store: FeatureStore) -> None:
    changes: list[tuple[dict[str, Any], int]] = [
        ({"image_size": 40}, 24), ({"augment": "light"}, 16), ({"feature_precision": "exact"}, 24),
        ({"freeze": -2}, 24),
    ]  # fmt: skip
    assert [(values, _passes(kept.changed(**values), store)) for values, _ in changes] == changes
    assert _passes(kept, store) == 0


def test_a_view_depends_on_strength_and_seed(kept: Any, store: FeatureStore) -> None:
    light = kept.changed(augment="light")
    assert [_passes(light, store), _passes(light, store)] == [16, 0]
    assert _passes(light.changed(seed=1), store) == 16
    assert _passes(light.changed(augment="strong"), store) == 16
    assert _passes(light.changed(views=7), store) == 0


def test_a_changed_weight_is_a_new_address_and_a_changed_head_is_none(kept: Any, store: FeatureStore) -> None:
    def first_weight(module: torch.nn.Module) -> None:
        next(module.parameters()).data.mul_(1.001)

    def statistics(module: torch.nn.Module) -> None:
        next(part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)).running_var.mul_(1.01)

    def head(module: Any) -> None:
        module.classifier.weight.data += 1.0

    assert [_passes(kept, store, alter) for alter in (head, first_weight, statistics)] == [0, 24, 24]


def test_another_library_is_a_new_address(kept: Any, store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {**machine.versions(), "timm": "99.0"}
    monkeypatch.setattr(machine, "versions", lambda: versions)
    assert [_passes(kept, store), _passes(kept, store)] == [24, 0]


def test_a_picture_is_known_by_its_bytes_and_not_by_its_label_or_split(
    recipe: Callable[..., Any], store: FeatureStore, tmp_path: Path, pictures: Path, make_picture: MakePicture
) -> None:
    table = pd.read_csv(pictures)
    table["path"] = [str(pictures.parent / path) for path in table["path"]]

    def passes() -> int:
        table.to_csv(tmp_path / "table.csv", index=False)
        return _passes(recipe(data=str(tmp_path / "table.csv"), freeze="backbone", unfreeze=[], epochs=2), store)

    assert [passes(), passes()] == [24, 0]
    table["label"] = table["label"].map({"red": "green", "green": "blue", "blue": "red"})
    table["split"] = ["validation"] * 8 + ["train"] * 16 + ["test"] * 3
    assert passes() == 0
    table.loc[4, "path"] = str(make_picture(tmp_path / "new.png", seed=4, side=40))
    assert passes() == 1
    make_picture(tmp_path / "new.png", seed=5, side=40)
    assert passes() == 1


# What goes wrong on the disk.


def _damage(store: FeatureStore) -> None:
    for data in store.folder.glob("*/*/data.bin"):
        raw = bytearray(data.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        data.write_bytes(raw)


def test_damaged_features_are_computed_again_with_a_word(recipe: Callable[..., Any], store: FeatureStore) -> None:
    wanted = _exact(recipe())
    first = _train(wanted, store)
    assert "damaged" not in first.words
    _damage(store)
    again = _train(wanted, store)
    assert "was damaged (its data are not as they were written) and is computed again" in again.words
    assert again.features.savings.computed > 0
    again.require_same_bits(first)
    assert _train(wanted, store).features.savings.computed == 0


@contextlib.contextmanager
def _no_file_above(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_files_cannot_be_written_it_trains_uncached_and_says_so(
    recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = _exact(recipe(freeze="backbone", unfreeze=[], epochs=2))
    with _no_file_above(2_000):
        found = _train(wanted, store)
    assert "uncached: features cannot be kept in" in found.words
    assert found.feeds == {"DirectFeed"}
    found.require_same_bits(_uncached(wanted))
    assert not list(store.folder.glob("*/*/data.bin"))


def test_a_disk_that_is_full_by_now_ends_no_run(
    recipe: Callable[..., Any], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _exact(recipe(freeze="backbone", unfreeze=[], epochs=3, augment="light", views=2))
    real = FeatureStore.load
    calls = []

    def load(self: FeatureStore, *args: Any, **keywords: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise StorageError("the disk is full")
        return real(self, *args, **keywords)

    monkeypatch.setattr(FeatureStore, "load", load)
    found = _train(wanted, store)
    assert "uncached from here: the disk is full" in found.words
    assert found.features.savings.computed == 16
    found.require_same_bits(_uncached(wanted))


def test_a_store_that_cannot_be_made_or_is_too_small_is_no_reason_to_stop(
    recipe: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    wanted = recipe(freeze="backbone", unfreeze=[], epochs=1)
    whole = _uncached(wanted)
    for store, words in (
        (FeatureStore(tmp_path / "file" / "store"), "uncached: features cannot be kept in"),
        (FeatureStore(tmp_path / "small", limit=100), "uncached: the features take"),
    ):
        found = _train(wanted, store)
        assert words in found.words
        found.require_same_bits(whole)
        assert found.features.summary() == ""
        assert found.features.pooled(found.trainer.examples.rows("train"), found.trainer.devices) is None


# Stopping.


@pytest.fixture
def viewed(recipe: Callable[..., Any]) -> Any:
    """Return a recipe of two views: passes through the trunk in two batches, in three and in two, of eight pictures."""
    return _exact(recipe("test_vit", freeze="backbone", unfreeze=[], epochs=2, views=2, augment="light"))


def _stopping(trainer: Trainer, batch: int, ask: Callable[[], object]) -> list[int]:
    """Ask for a stop just before a batch goes through the trunk, from 0; note those that are reached."""
    reached: list[int] = []
    groups = trainer.features._groups

    def asking(rows: np.ndarray) -> Iterator[np.ndarray]:
        for group in groups(rows):
            if len(reached) == batch:
                ask()
            reached.append(len(group))
            yield group

    trainer.features._groups = asking  # type: ignore[method-assign]
    return reached


def _files(store: FeatureStore) -> int:
    """Return how many passes are on the disk, with what of one that was not finished."""
    return len(list(store.folder.rglob("data.bin*")))


@pytest.mark.parametrize(
    ("how", "batch", "step", "kept"),
    [("event", 1, 0, 0), ("command", 0, 0, 0), ("command", 4, 2, 1), ("event", 6, 2, 2)],
)
def test_a_stop_ends_a_pass_through_the_trunk_and_a_resumed_run_has_the_same_bits(
    how: str, batch: int, step: int, kept: int, viewed: Any, store: FeatureStore, tmp_path: Path
) -> None:
    whole = _train(viewed, FeatureStore(tmp_path / "other"))
    checkpoints, stop = Checkpoints(tmp_path / "checkpoints"), threading.Event()
    control = Control(tmp_path / "control.jsonl")
    stopped = _trainer(viewed, store, checkpoints=checkpoints, control=control)
    reached = _stopping(stopped, batch, stop.set if how == "event" else lambda: control.send("stop"))
    seen = _count_passes(stopped)
    with pytest.raises(TrainingStopped, match=f"after step {step} of 4"):
        stopped.fit(stop)
    stopped.features.close()
    assert len(reached) == batch + 1
    assert sum(seen) <= 8 * batch + 40  # and a few to find and to check the cut
    assert _files(store) == kept
    found = checkpoints.latest()
    assert found is not None
    resumed = _trainer(viewed, store)
    resumed.restore(found[0])
    resumed.fit()
    resumed.features.close()
    assert asdict(resumed.progress) == asdict(whole.trainer.progress)
    expected = whole.weights()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.model.module.state_dict().items())


def test_a_stop_does_not_wait_for_the_process_that_computes_the_same(
    viewed: Any, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    first = _trainer(viewed, store, checkpoints=Checkpoints(tmp_path / "checkpoints"))
    _stopping(first, 0, stop.set)
    with pytest.raises(TrainingStopped):
        first.fit(stop)
    stop.clear()
    second = _trainer(viewed, store)
    load = store.load

    def asked(*given: Any, **named: Any) -> Any:
        stop.set()
        return load(*given, **named)

    monkeypatch.setattr(store, "load", asked)
    with contextlib.ExitStack() as held:
        for table in store.folder.iterdir():  # as another process would
            held.callback(os.close, wait_to_fill(table, None))
        with pytest.raises(TrainingStopped, match="after step 0"):
            second.fit(stop)


def test_who_measures_after_a_stop_is_not_stopped_again(viewed: Any, store: FeatureStore) -> None:
    stop = threading.Event()
    trainer = _trainer(viewed, store)
    _stopping(trainer, 1, stop.set)
    with pytest.raises(TrainingStopped):
        trainer.fit(stop)
    rows = trainer.examples.rows("train")
    assert trainer.features.pooled(rows, trainer.devices) is not None


# What cannot be cut.


def test_a_model_that_trains_from_the_input_on_says_so(recipe: Callable[..., Any], store: FeatureStore) -> None:
    found = _train(recipe(freeze="none", unfreeze=[], epochs=1), store)
    assert "uncached while whole model trains: nothing of it is frozen from the input on" in found.words
    assert found.feeds == {"DirectFeed"}
    assert not store.folder.exists()


def test_examples_that_are_not_independent_of_their_batch_are_found_out(
    recipe: Callable[..., Any], store: FeatureStore
) -> None:
    def mix(module: Any) -> None:
        module.blocks[0].register_forward_hook(lambda _m, _a, found: found - found.mean(0, keepdim=True))

    wanted = recipe(freeze="backbone", unfreeze=[], epochs=1)
    found = _train(wanted, store, alter=mix)
    assert "uncached: kept features change the results by" in found.words
    found.require_same_bits(_uncached(wanted, alter=mix))


def test_a_cache_that_is_off_computes_keeps_and_says_nothing(recipe: Callable[..., Any], store: FeatureStore) -> None:
    found = _train(recipe(cache="off", epochs=1, unfreeze=[]), store)
    assert found.features.words == []
    assert found.features.summary() == ""
    assert not store.folder.exists()


def test_a_large_activation_of_one_epoch_is_not_kept(recipe: Callable[..., Any], store: FeatureStore) -> None:
    wanted = recipe("test_resnet", image_size=160, freeze=2, unfreeze=[], epochs=1)
    once = _trainer(wanted, store)
    assert isinstance(once.feed, DirectFeed)
    assert "used in one epoch only, and large" in once.features.words[0]
    twice = _trainer(wanted.changed(epochs=2), store)
    assert isinstance(twice.feed, CachedFeed), twice.features.words
    twice.features.close()


# Shared passes.


def _count_passes(trainer: Trainer) -> list[int]:
    """Note how many examples go through the first module of the trunk."""
    seen: list[int] = []
    first: Any = next(part for part in trainer.model.module.modules() if isinstance(part, torch.nn.Conv2d))
    first.register_forward_hook(lambda _m, given, _out: seen.append(len(given[0])))
    return seen


def test_gradual_unfreezing_costs_one_pass_and_a_second_run_none(
    recipe: Callable[..., Any], store: FeatureStore
) -> None:
    wanted = _exact(recipe("test_vit", epochs=6, unfreeze=[[2, -2], [4, 2]]))
    trainer = _trainer(wanted, store)
    seen = _count_passes(trainer)
    trainer.fit()
    assert trainer.features.savings.computed == 24
    # Beyond the one pass, a few examples to find and to check each of three cuts.
    assert sum(seen) < 24 + 3 * 40 < 6 * (16 + 24)
    assert trainer.features.savings.used == 6 * (16 + 16 + 8)
    assert "cache: the trunk ran 24 times for 240 uses of its results" in trainer.features.summary()
    trainer.features.close()
    again = _train(wanted, store)
    assert again.features.savings.computed == 0
    assert again.features.savings.used == 240
    assert {k: v.tolist() for k, v in again.weights().items()} == {
        k: v.tolist() for k, v in trainer.model.module.state_dict().items()
    }


def test_the_baseline_and_training_share_the_passes(recipe: Callable[..., Any], store: FeatureStore) -> None:
    trainer = _trainer(_exact(recipe(unfreeze=[[1, -2]])), store)
    baseline = measure_baselines(
        trainer.task, trainer.model, trainer.reader, trainer.examples, trainer.devices, trainer.features
    )
    assert trainer.features.savings.computed == 27  # with those of the test split
    direct = measure_baselines(trainer.task, trainer.model, trainer.reader, trainer.examples, trainer.devices)
    np.testing.assert_allclose(baseline.scores, direct.scores, atol=1e-3)
    trainer.fit()
    trainer.features.close()
    assert trainer.features.savings.computed == 27


@pytest.mark.parametrize("kind", ["bert", "gpt2", "deberta"])
def test_pooled_features_are_what_the_head_sees(kind: str, texts: Callable[..., Any], store: FeatureStore) -> None:
    trainer = _trainer(_exact(texts(kind)), store)
    trainer.model.stages.apply("none")  # as a model is before training
    rows = trainer.examples.rows("train")[::-1]
    found = trainer.features.pooled(rows, trainer.devices)
    expected = extract_features(trainer.task, trainer.model, trainer.reader, rows, trainer.devices)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_pooled_pictures_in_any_order(recipe: Callable[..., Any], store: FeatureStore) -> None:
    trainer = _trainer(recipe("test_vit", freeze=-2, unfreeze=[]), store)
    rows = np.array([5, 2, 20, 2])
    found = trainer.features.pooled(rows, trainer.devices)
    expected = extract_features(trainer.task, trainer.model, trainer.reader, rows, trainer.devices)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_copies_of_an_example_are_computed_once(recipe: Callable[..., Any], store: FeatureStore) -> None:
    trainer = _trainer(recipe(freeze="backbone", unfreeze=[], epochs=2), store)
    frame = trainer.examples.frame
    doubled = pd.concat([frame, frame.assign(id=frame["id"] + "b")], ignore_index=True)
    examples = Examples(doubled, trainer.examples.classes, "made for a test")
    reader = trainer.task.reader(examples, trainer.recipe, trainer.model)
    features = Features(trainer.task, trainer.recipe, examples, trainer.model, reader, store)
    feed = features.feed(trainer.model.stages.frozen, trainer.devices)
    rows = np.arange(len(examples))
    kept = feed.inputs(rows)["tunebook_kept"]
    features.close()
    assert features.savings.computed == 27
    assert torch.equal(kept[:27], kept[27:])
