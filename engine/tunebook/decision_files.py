"""How a model decides between two classes, written into the files that a model is handed on as."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tunebook.storage import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def note_decision(folder: Path, classes: Sequence[str], decision: Mapping[str, Any] | None) -> list[str]:
    """
    Write the decision into ``config.json`` and ``model.onnx`` of a model folder, where these are.

    ``config.json`` has it under ``tunebook``, which timm and transformers leave alone. ``model.onnx`` has the metadata
    ``classes`` (JSON) and, for two classes, ``positive``, ``threshold`` and ``chosen_by``.

    Parameters
    ----------
    folder
        What a task exported.
    classes
        Class names in the order of the model's scores.
    decision
        ``decision`` of ``metrics.json``; ``None`` where there are not two classes.

    Returns
    -------
    list of str
        A sentence on it for the card; none without a decision.

    Raises
    ------
    StorageError
        A file cannot be written.
    """
    own = {name: decision[name] for name in ("positive", "threshold", "chosen_by")} if decision else {}
    onnx, config = folder / "model.onnx", folder / "config.json"
    if onnx.is_file():
        _add_metadata(onnx, {"classes": json.dumps(list(classes), ensure_ascii=False), **own})
    if not own:
        return []
    if config.is_file():
        found = read_json(config)
        found["tunebook"] = {**found.get("tunebook", {}), "decision": own}
        write_json(config, found, durable=False)
    return [
        "`tunebook.decision` in `config.json`, and the metadata of `model.onnx`: the positive class, and the score "
        "from which it is said"
    ]


def _add_metadata(path: Path, values: Mapping[str, Any]) -> None:
    import onnx  # noqa: PLC0415

    added = onnx.ModelProto(
        metadata_props=[onnx.StringStringEntryProto(key=key, value=str(value)) for key, value in values.items()]
    )
    # Messages that stand one after the other are one message, whose lists are joined: nothing large is read or copied.
    with path.open("ab") as stream:
        stream.write(added.SerializeToString())
