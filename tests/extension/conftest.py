"""What tests of the server half share: a Jupyter server with it, answers checked against the OpenAPI file, and runs."""

from __future__ import annotations

import json
import secrets
import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import yaml
from jsonschema import Draft202012Validator
from pytest_jupyter.jupyter_server import *  # noqa: F403 - pytest takes fixtures of plugins from the top conftest alone
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from traitlets.config import Config

import tunebook_lab
from tunebook.crc32c import framed
from tunebook.runs import Run
from tunebook.storage import write_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Ask = Callable[..., Awaitable["Answer"]]
    MakeRun = Callable[..., Path]

SPEC: dict[str, Any] = yaml.safe_load(Path(tunebook_lab.__file__).with_name("openapi.yaml").read_text(encoding="utf-8"))
_SPEC = Registry().with_resource("urn:spec", Resource(contents=SPEC, specification=DRAFT202012))


def validator(pointer: str) -> Draft202012Validator:
    """Return a checker for a place of the OpenAPI file, which refers to others."""
    return Draft202012Validator({"$ref": f"urn:spec#{pointer}"}, registry=_SPEC)


def schema_validator(name: str) -> Draft202012Validator:
    """Return a checker for a schema of the OpenAPI file."""
    return validator(f"/components/schemas/{name}")


@dataclass(frozen=True)
class Answer:
    """What a request was answered."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def message(self) -> str:
        text: str = self.json["message"]
        assert text
        assert "\n" not in text
        return text


def check_answer(route: str, verb: str, answer: Answer) -> None:
    """Hold an answer against what the OpenAPI file says of its route."""
    operation = SPEC["paths"][f"/{route}"][verb.lower()]
    key = str(answer.status) if str(answer.status) in operation["responses"] else "default"
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    escaped = route.replace("/", "~1")
    if key == "default":
        assert answer.status >= 400
        assert kind == "application/json"
        schema_validator("Error").validate(answer.json)
        return
    content = operation["responses"][key].get("content", {})
    if not content:
        assert answer.raw == b""
        return
    assert kind in content, kind
    if kind == "application/json":
        place = f"/paths/~1{escaped}/{verb.lower()}/responses/{key}/content/application~1json/schema"
        validator(place).validate(answer.json)


@pytest.fixture
def lab_config() -> dict[str, Any]:
    """Give settings of the extension; tests give their own."""
    return {}


@pytest.fixture
def jp_server_config(tmp_path: Path, lab_config: dict[str, Any]) -> Config:
    """Start the server with the extension, and let nobody in who is not logged in."""
    return Config(
        {
            "ServerApp": {"jpserver_extensions": {"tunebook_lab": True}, "allow_unauthenticated_access": False},
            "TunebookLab": {"queue_dir": str(tmp_path / "queue"), **lab_config},
        }
    )


@pytest.fixture
def ask(jp_serverapp: Any, http_server_client: Any, jp_auth_header: dict[str, str], jp_base_url: str) -> Ask:
    """Ask a route, and hold the answer against the OpenAPI file."""
    del jp_serverapp

    async def send(
        route: str,
        verb: str = "GET",
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        is_checked: bool = True,
        query: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Answer:
        asked = urlencode({**arguments, **(query or {})}, doseq=True)
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        found = await http_server_client.fetch(
            f"{jp_base_url}tunebook/api/{route}?{asked}",
            method=verb,
            headers=dict(jp_auth_header if headers is None else headers),
            body=data,
            raise_error=False,
            allow_nonstandard_methods=True,
            request_timeout=30,
            follow_redirects=False,
        )
        answer = Answer(found.code, found.headers, found.body or b"")
        if is_checked:
            check_answer(route, verb, answer)
        return answer

    return send


@pytest.fixture
def services(jp_serverapp: Any) -> Any:
    """Give what the server's routes work with."""
    return jp_serverapp.web_app.settings["tunebook_services"]


class Log:
    """Writes an events file without tensorboardX, which imports torch where it is installed."""

    def __init__(self, folder: Path, purge_step: int | None = None) -> None:
        name = f"events.out.tfevents.{time.time():.6f}.host.{secrets.token_hex(4)}"
        self._stream = (folder / name).open("wb")
        self._event(0, _field(3, b"brain.Event:2"))
        if purge_step is not None:
            self._event(purge_step, _field(7, b"\x08\x01"))

    def _event(self, step: int, what: bytes) -> None:
        head = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step)
        self._stream.write(framed(head + what))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        parts = [_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value) for tag, value in values.items()]
        self._event(step, _field(5, b"".join(_field(1, part) for part in parts)))

    def text(self, tag: str, text: str, step: int) -> None:
        kind = _field(9, _field(1, _field(1, b"text")))
        tensor = _field(8, b"\x08\x07" + _field(8, text.encode()))
        self._event(step, _field(5, _field(1, _field(1, tag.encode()) + kind + tensor)))

    def histogram(self, tag: str, limits: list[float], counts: list[float], step: int) -> None:
        numbers = [limits[0] - 1, limits[-1], sum(counts), 0.0, 0.0]
        plain = b"".join(bytes([8 * k + 9]) + struct.pack("<d", value) for k, value in enumerate(numbers))
        lists = b"".join(_field(6 + k, struct.pack(f"<{len(v)}d", *v)) for k, v in enumerate((limits, counts)))
        self._event(step, _field(5, _field(1, _field(1, tag.encode()) + _field(5, plain + lists))))

    def close(self) -> None:
        self._stream.close()


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def write_run(
    path: Path,
    *,
    state: str = "finished",
    task: str = "image-classification",
    epochs: int = 4,
    steps: int = 40,
    parameters: Mapping[str, Any] | None = None,
    metrics: bool = True,
    log: bool = True,
    **more: Any,
) -> Path:
    """Write a run directory as training leaves it, with invented figures."""
    run = Run.create(path.parent, path.name, task)
    now = time.time()
    run.update(
        state=state, phase=state, epochs=epochs, epoch=epochs if state == "finished" else epochs // 2, steps=steps,
        step=steps if state == "finished" else steps // 2, loss=0.5, started=now - 60, baseline=0.5,
        metric=0.8 if state == "finished" else None, host=socket.gethostname(), **more,
    )  # fmt: skip
    from tunebook.tasks import recipe_class

    recipe = recipe_class(task)(**dict(parameters or {}))
    write_json(path / "recipe.json", {
        "task": task, "parameters": recipe.model_dump(mode="json"), "versions": {"python": "3.11", "torch": "2"},
        "device": "cpu, fp32", "seed": 0, "data": {"source": "made for a test", "sha256": "0" * 64, "examples": 90,
        "classes": ["cat", "dog"]}, "model": {"name": recipe.model, "origin": "random", "sha256": "1" * 64},
    })  # fmt: skip
    if log:
        write_log(path, epochs, steps)
    if metrics and state == "finished":
        write_json(path / "metrics.json", _metrics(epochs, steps))
    return path


def write_log(path: Path, epochs: int = 4, steps: int = 40) -> None:
    """Write an events file with steps and epochs."""
    log = Log(path)
    for step in range(1, steps + 1):
        log.scalars({"train/loss": 1.0 / step, "lr/head": 1e-3}, step)
    for epoch in range(1, epochs + 1):
        value = 0.5 + 0.1 * epoch
        log.scalars({"macro_f1/validation": value, "loss/validation": 1.0 - value}, epoch * steps // epochs)
    log.text("marks", "stage: head train", 1)
    log.close()


def score(n: int, accuracy: float) -> dict[str, Any]:
    """Return the figures of one evaluation."""
    right = round(n * accuracy / 2)
    wrong = n // 2 - right
    return {
        "n": n, "accuracy": accuracy, "macro_f1": accuracy, "loss": 1 - accuracy, "ece": 0.05,
        "recall": {"cat": accuracy, "dog": accuracy}, "support": {"cat": n // 2, "dog": n // 2},
        "confusion": [[right, wrong], [wrong, right]],
    }  # fmt: skip


def _metrics(epochs: int, steps: int) -> dict[str, Any]:
    history = [
        {"epoch": k, "step": k * steps // epochs, "freeze": "backbone", "trains": "head", "running_loss": 1.0 / k,
         "train": score(60, 0.5 + 0.1 * k), "validation": score(20, 0.4 + 0.1 * k)}
        for k in range(1, epochs + 1)
    ]  # fmt: skip
    stage = {"trains": "head", "epochs": [1, epochs], "epoch": epochs, "validation": score(20, 0.8)}
    return {
        "classes": ["cat", "dog"], "multi_label": False, "train_counts": {"cat": 30, "dog": 30}, "monitor": "macro_f1",
        "baseline": "linear probe",
        "baselines": {"linear probe": {"validation": score(20, 0.5), "test": score(20, 0.5)}},
        "stages": [stage], "tuned": {"epoch": epochs, "validation": score(20, 0.8), "test": score(20, 0.8)},
        "decision": {"positive": "dog", "threshold": 0.3, "chosen_by": "cost:1:5", "baseline": 0.4},
        "history": history, "verdicts": [{"name": "fine", "reason": "nothing", "curve": "", "advice": "go on"}],
    }  # fmt: skip


@pytest.fixture
def root(jp_root_dir: Path) -> Path:
    """Give the server's root."""
    return jp_root_dir
