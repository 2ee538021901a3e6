"""Whatever is asked of a route is answered as the OpenAPI file says, and never with an error of the server's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.extension.conftest import SPEC, check_answer, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.extension.conftest import Ask

PATHS = st.sampled_from(["runs/one", "runs/broken", "book.ipynb", "runs", ""]) | st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """Return the same examples each time: a test that waits for a server cannot be called for each of them."""
    found: list[Any] = []

    @settings(max_examples=count, database=None, derandomize=True)
    @given(strategy)
    def keep(value: Any) -> None:
        found.append(value)

    keep()
    return found


def _fields(operation: dict[str, Any]) -> list[str]:
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    reference = schema.get("$ref", "").rpartition("/")[2]
    return list((SPEC["components"]["schemas"][reference] if reference else schema)["properties"])


async def test_any_request_is_answered_as_the_description_says(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "one")
    (write_run(root / "runs" / "broken") / "metrics.json").write_text("[]", encoding="utf-8")
    cell = {"cell_type": "code", "source": "epochs = 1", "metadata": {"tags": ["parameters"]}, "outputs": []}
    (root / "book.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4}), encoding="utf-8")
    await ask("queue", "PATCH", {"held": True})
    for route, verbs in SPEC["paths"].items():
        for verb, operation in verbs.items():
            if route == "/queue" and verb == "patch":  # it would start what waits
                continue
            names = st.sampled_from(["path", "folder", "id", "tag", "width", "start", "since", "name", "format"])
            query = st.dictionaries(names, PATHS, max_size=4)
            body: st.SearchStrategy[Any] = st.just(None)
            if "requestBody" in operation:
                body = st.dictionaries(st.sampled_from(_fields(operation)), VALUES, max_size=4) | VALUES
            for arguments, given_body in _drawn(st.tuples(query, body), 12):
                raw = None if "requestBody" not in operation else json.dumps(given_body).encode()
                answer = await ask(
                    route[1:], verb.upper(), raw=raw, is_checked=False, query={"path": "runs/one", **arguments}
                )
                check_answer(route[1:], verb, answer)
                assert answer.status < 500, (route, verb, arguments, given_body, answer.raw[:200])


async def test_who_has_no_token_learns_nothing(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "one")
    for route, verbs in SPEC["paths"].items():
        for verb in verbs:
            answer = await ask(route[1:], verb.upper(), raw=b"{}", headers={}, path="runs/one", is_checked=False)
            assert answer.status in {302, 403}, (route, verb)
            assert b"runs/one" not in answer.raw
    assert (root / "runs" / "one" / "state.json").is_file()
