"""Hostile files: nothing in them is run, unpacked or shown as markup, and each is refused in one line."""

from __future__ import annotations

import bz2
import io
import json
import os
import pickle
import pickletools
import shutil
import struct
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import small_run
import tiny_models
from kept_features import ADDRESS, Computing, keys, segments

from tunebook.errors import StorageError, TunebookError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Memory that refusing a file may take beyond what the process had.
_MOST_MEMORY = 300 << 20
_HTML = "<img src=x onerror=alert(1)>"


class _Runs:
    """Pickles as a call."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def _touching(mark: Path) -> bytes:
    return pickle.dumps({"weight": _Runs(os.system, f"touch '{mark}'")})


# Files of weights. Each is given a path to write to, and a mark that must not appear.


def _protocol_0(path: Path, mark: Path) -> None:
    path.write_bytes(f"cos\nsystem\n(S'touch {mark}'\ntR.".encode())


def _protocol_2(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps([_Runs(os.system, f"touch {mark}")], protocol=2))


def _protocol_5(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps([_Runs(os.system, f"touch {mark}")], protocol=5))


def _executes(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(_Runs(exec, f"open({str(mark)!r}, 'w')")))


def _evaluates(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(_Runs(eval, f"open({str(mark)!r}, 'w')")))


def _opens(path: Path, mark: Path) -> None:
    path.write_bytes(pickle.dumps(_Runs(open, str(mark), "w")))


def _getattr_chain(path: Path, mark: Path) -> None:
    raw = b"cbuiltins\ngetattr\n(cos\nS'system'\ntR(S'touch " + str(mark).encode() + b"'\ntR."
    path.write_bytes(raw)


def _sets_state(path: Path, mark: Path) -> None:
    # An allowed class, and what is built into it.
    raw = b"\x80\x02ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00a" + _touching(mark)[2:-1] + b"sb."
    path.write_bytes(raw)


def _persistent(path: Path, mark: Path) -> None:
    path.write_bytes(b"\x80\x02X" + struct.pack("<I", len(str(mark))) + str(mark).encode() + b"Q.")


def _nested(path: Path, _: Path) -> None:
    path.write_bytes(b"\x80\x02" + b"(" * 20_000 + b"t" * 20_000 + b".")


def _huge_array(path: Path, _: Path) -> None:
    path.write_bytes(b"\x80\x02cbuiltins\nbytearray\n\x8a\x06\x00\x00\x00\x00\x00\x10\x85R.")


def _archive_of_torch(path: Path, raw: bytes, **options: Any) -> None:
    import torch

    whole = io.BytesIO()
    torch.save({"weight": torch.zeros(4)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", **options) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, raw if entry.filename.endswith("data.pkl") else source.read(entry))


def _archive(path: Path, mark: Path) -> None:
    _archive_of_torch(path, _touching(mark))


def _bomb_pickle(path: Path, _: Path) -> None:
    _archive_of_torch(path, bytes(400 << 20), compression=zipfile.ZIP_DEFLATED)


def _bomb_bzip2(path: Path, _: Path) -> None:
    _archive_of_torch(path, bytes(400 << 20), compression=zipfile.ZIP_BZIP2)


def _bomb_tensor(path: Path, _: Path) -> None:
    import torch

    whole = io.BytesIO()
    torch.save({"weight": torch.zeros(100 << 20)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))


def _archive_with_paths(path: Path, mark: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"../../../../../../{str(mark).lstrip('/')}", "out of its folder")
        archive.writestr(str(mark), "out of its folder")


def _script(path: Path, mark: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", _touching(mark))
        archive.writestr("x/code/__torch__.py", f"import os\nos.system('touch {mark}')\n")
        archive.writestr("x/constants.pkl", _touching(mark))
        archive.writestr("x/version", "6\n")


def _tar(path: Path, mark: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            entry = tarfile.TarInfo(name)
            entry.size = len(_touching(mark))
            archive.addfile(entry, io.BytesIO(_touching(mark)))
        outside = tarfile.TarInfo(f"../../../../../../{str(mark).lstrip('/')}")
        archive.addfile(outside, io.BytesIO())


def _legacy(path: Path, mark: Path) -> None:
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
    path.write_bytes(magic + pickle.dumps(1001, protocol=2) + pickle.dumps({}, protocol=2) + _touching(mark))


def _numpy(path: Path, mark: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, np.array([_Runs(os.system, f"touch {mark}")], dtype=object), allow_pickle=True)


def _compressed(path: Path, mark: Path) -> None:
    path.write_bytes(bz2.compress(pickletools.optimize(_touching(mark))))


def _tensors(path: Path, header: bytes | dict[str, Any], length: int | None = None, data: bytes = b"") -> None:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)


def _named_safetensors(path: Path, mark: Path) -> None:
    path.write_bytes(_touching(mark))


def _endless_header(path: Path, _: Path) -> None:
    _tensors(path, b"{}", length=2**63)


def _long_header(path: Path, _: Path) -> None:
    _tensors(path, b"{}", length=2**40)


def _sparse_header(path: Path, _: Path) -> None:
    _tensors(path, b"{", length=2**33)
    os.truncate(path, 2**33 + 8)


def _blank_header(path: Path, _: Path) -> None:
    _tensors(path, b"{" + b" " * (120 << 20) + b"}")


def _nested_header(path: Path, _: Path) -> None:
    _tensors(path, b'{"a":' * 100_000 + b"1" + b"}" * 100_000)


def _overflowing_shape(path: Path, _: Path) -> None:
    _tensors(path, {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, data=bytes(4))


def _offsets_outside(path: Path, _: Path) -> None:
    _tensors(path, {"a": {"dtype": "F32", "shape": [2**20], "data_offsets": [0, 2**22]}}, data=bytes(4))


def _offsets_shared(path: Path, _: Path) -> None:
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    _tensors(path, {f"a{k}": one for k in range(1000)}, data=bytes(4))


def _no_unicode(path: Path, _: Path) -> None:
    _tensors(path, b'{"\xff\xfe": 1}')


def _unknown_type(path: Path, _: Path) -> None:
    _tensors(path, {"a": {"dtype": "__import__('os')", "shape": [1], "data_offsets": [0, 4]}}, data=bytes(4))


def _names_with_paths(path: Path, mark: Path) -> None:
    one = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    _tensors(path, {"__metadata__": {"format": _HTML}, f"../../{mark}": one}, data=bytes(4))


PTH = [
    _protocol_0, _protocol_2, _protocol_5, _executes, _evaluates, _opens, _getattr_chain, _sets_state, _persistent,
    _nested, _huge_array, _archive, _bomb_pickle, _bomb_bzip2, _bomb_tensor, _archive_with_paths, _script, _tar,
    _legacy, _numpy, _compressed,
]  # fmt: skip
SAFETENSORS = [
    _named_safetensors, _endless_header, _long_header, _sparse_header, _blank_header, _nested_header,
    _overflowing_shape, _offsets_outside, _offsets_shared, _no_unicode, _unknown_type, _names_with_paths,
]  # fmt: skip


# Folders of text models.


def _model_own_code(folder: Path, mark: Path) -> None:
    _change_json(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Config"})
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: pass\n")


def _model_own_tokenizer(folder: Path, mark: Path) -> None:
    own = {"AutoTokenizer": ["own.Tokenizer", None]}
    _change_json(folder / "tokenizer_config.json", tokenizer_class="Own", auto_map=own)
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Tokenizer: pass\n")
    (folder / "tokenizer.json").unlink()


def _model_pickled(folder: Path, mark: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(_touching(mark))


def _model_index_outside(folder: Path, mark: Path) -> None:
    (folder / "model.safetensors").unlink()
    outside = folder.parent / "outside.bin"
    outside.write_bytes(_touching(mark))
    index = {"metadata": {"total_size": 4}, "weight_map": {"embeddings.word_embeddings.weight": "../outside.bin"}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def _model_adapter(folder: Path, mark: Path) -> None:
    adapter = {"peft_type": "LORA", "base_model_name_or_path": str(folder), "r": 1, "target_modules": ["query"]}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    (folder / "adapter_model.bin").write_bytes(_touching(mark))


def _model_oversize(folder: Path, _: Path) -> None:
    _tensors(folder / "model.safetensors", b"{}", length=2**62)


MODELS = [
    _model_own_code, _model_own_tokenizer, _model_pickled, _model_index_outside, _model_adapter, _model_oversize,
]  # fmt: skip


# Checkpoints and features, by somebody who can write there.


def _manifest(folder: Path, **hashes: str) -> None:
    (folder / "manifest.json").write_text(json.dumps({"sha256": hashes}))


def _checkpoint_outside(folder: Path, mark: Path) -> None:
    from tunebook.examples import hash_file

    outside = folder.parents[1] / "outside"
    outside.write_bytes(_touching(mark))
    _manifest(folder, **{"../../outside": hash_file(outside)})


def _checkpoint_absolute(folder: Path, mark: Path) -> None:
    outside = folder.parents[1] / "outside"
    outside.write_bytes(_touching(mark))
    _manifest(folder, **{str(outside): "0" * 64})


def _checkpoint_pickled(folder: Path, mark: Path) -> None:
    from tunebook.examples import hash_file

    (folder / "model.safetensors").write_bytes(_touching(mark))
    _manifest(folder, **{f.name: hash_file(f) for f in folder.iterdir() if f.name != "manifest.json"})


def _checkpoint_pipe(folder: Path, _: Path) -> None:
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")


def _checkpoint_nested(folder: Path, _: Path) -> None:
    (folder / "manifest.json").write_text("[" * 200_000)


def _checkpoint_added(folder: Path, mark: Path) -> None:
    (folder / "extra.pkl").write_bytes(_touching(mark))


CHECKPOINTS = [
    _checkpoint_outside, _checkpoint_absolute, _checkpoint_pickled, _checkpoint_pipe, _checkpoint_nested,
    _checkpoint_added,
]  # fmt: skip


def _features_oversize(segment: Path, _: Path) -> None:
    _change_json(segment / "head.json", examples=2**61, rows=2**61)


def _features_pickled(segment: Path, mark: Path) -> None:
    (segment / "head.json").write_bytes(_touching(mark))


def _features_link(segment: Path, mark: Path) -> None:
    mark.parent.joinpath("secret").write_bytes(bytes(1000))
    (segment / "data.bin").unlink()
    (segment / "data.bin").symlink_to(mark.parent / "secret")


FEATURES = [_features_oversize, _features_pickled, _features_link]


def _change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of pictures and one of a text model."""
    root = tmp_path_factory.mktemp("made")
    small_run.make_pictures(root / "pictures", count=6)
    small_run.make_texts(root / "texts", count=6)
    return root


def _refuse_weights(file: Path, made: Path) -> str:
    import tunebook

    recipe = small_run.recipe(made / "pictures", file.parent, weights=str(file))
    with pytest.raises(TunebookError) as caught:
        tunebook.load_model(recipe, tunebook.load_examples(recipe))
    return str(caught.value)


def _refuse_model(folder: Path, made: Path) -> str:
    import tunebook

    changes = {"model": str(folder)}
    recipe = small_run.recipe(made / "texts" / "texts.csv", folder.parent, "text-classification", **changes)
    with pytest.raises(TunebookError) as caught:
        tunebook.load_model(recipe, tunebook.load_examples(recipe))
    return str(caught.value)


def _refuse_checkpoint(folder: Path) -> str:
    from tunebook.checkpoints import Checkpoints

    with pytest.raises(StorageError) as caught:
        Checkpoints(folder.parent).latest()
    return str(caught.value)


def _peak() -> int:
    """Return the most bytes of memory that this process had since the last call."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return found


@pytest.mark.slow
def test_hostile_files_run_nothing_and_are_refused_in_one_line(made: Path, tmp_path: Path) -> None:
    from tunebook.checkpoints import Checkpoint, Checkpoints
    from tunebook.feature_store import FeatureStore

    mark = tmp_path / "was-run"
    refused: list[str] = []

    def note(name: str, line: str) -> None:
        assert line, name
        assert "\n" not in line, name
        assert len(line) < 1000, name
        assert not mark.exists(), f"{name} was run"
        used = _peak() - before
        assert used < _MOST_MEMORY, f"{name} took {used >> 20} MB"
        refused.append(name)

    for suffix, makers in ((".pth", PTH), (".safetensors", SAFETENSORS)):
        for make in makers:
            file = tmp_path / f"{make.__name__[1:]}{suffix}"
            make(file, mark)
            _peak()
            before = _peak()
            note(file.name, _refuse_weights(file, made))
            file.unlink()
    for make in MODELS:
        folder = tmp_path / make.__name__[1:] / "model"
        shutil.copytree(made / "texts" / "model", folder)
        make(folder, mark)
        _peak()
        before = _peak()
        note(make.__name__[1:], _refuse_model(folder, made))
    for make in CHECKPOINTS:
        import torch

        tensors = {"weight": torch.zeros(4)}
        place = tmp_path / make.__name__[1:] / "checkpoints"
        folder = Checkpoints(place).save(1, Checkpoint(tensors, tensors, {"step": 1}))
        make(folder, mark)
        _peak()
        before = _peak()
        note(make.__name__[1:], _refuse_checkpoint(folder))
    for make in FEATURES:
        store = FeatureStore(tmp_path / make.__name__[1:], limit=10**9)
        table = store.table(ADDRESS)
        store.fill([table], keys(5), Computing(keys(5)))
        make(segments(table)[0], mark)
        _peak()
        before = _peak()
        (rows,), filled = store.load([table], keys(5), Computing(keys(5)))
        rows.close()
        assert filled.computed == 5
        note(make.__name__[1:], table.problems[0])
    print(f"{len(refused)} of {len(refused)} hostile files refused in one line, nothing run")
    assert len(refused) >= 30


def test_markup_in_names_and_metadata_is_shown_as_text(made: Path, tmp_path: Path) -> None:
    """A model and data whose every name is markup: the run goes its way, and no page of it holds any."""
    import pandas as pd
    from safetensors.torch import load_file, save_file

    import tunebook

    model = tmp_path / "model <b>"
    tiny_models.make_tiny(model)
    weights = load_file(model / "model.safetensors")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt", _HTML: _HTML, "name": "<script>"})
    _change_json(model / "config.json", name_or_path=_HTML, id2label={"0": _HTML, "1": "<script>alert(1)</script>"})
    rows = pd.read_csv(made / "texts" / "texts.csv")
    rows["label"] = rows["label"].map({"good": _HTML, "bad": "<script>alert(1)</script>", "neither": "plain"})
    rows["author"] = [f"<svg onload=alert({k % 2})>" for k in range(len(rows))]
    rows.to_csv(tmp_path / "texts.csv", index=False)
    changes = {"model": str(model), "sensitive": ["author"], **small_run.SHORT}
    recipe = small_run.recipe(tmp_path / "texts.csv", tmp_path / "runs", "text-classification", **changes)
    examples = tunebook.load_examples(recipe)
    run = tunebook.tune(recipe, examples, tunebook.load_model(recipe, examples)).result()
    assert run.state().state == "finished"
    pages = [run.path / "README.md", *run.path.rglob("*.html")]
    assert len(pages) >= 2
    for page in pages:
        text = page.read_text()
        for wrong in ("<img src=x", "<script>alert", "<svg onload", "model <b>"):
            assert wrong not in text, page
    print(f"{len(pages)} pages of a run whose names are markup hold none of it")
