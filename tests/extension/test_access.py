"""Who may ask, and for what: login, tokens, origins, paths, bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .conftest import SPEC, write_run

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Ask

VERBS = [
    (path.lstrip("/"), verb.upper())
    for path, node in SPEC["paths"].items()
    for verb in node
    if verb in {"get", "post", "patch", "delete"}
]
WRITING = [(route, verb) for route, verb in VERBS if verb != "GET"]
#: Arguments with which each route would answer.
ARGUMENTS: dict[str, Any] = {"path": "runs/one", "name": "image-classification", "id": "x", "tag": "t"}


def names(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def one(root: Path) -> Path:
    return write_run(root / "runs" / "one")


async def _login(http_server_client: Any, jp_base_url: str, jp_serverapp: Any) -> dict[str, str]:
    """Log in as a browser does, and return its cookies with the XSRF token among them."""
    token = jp_serverapp.identity_provider.token
    cookies: dict[str, str] = {}
    # The page for logging in sets the XSRF token, the token in the address the session.
    for page in ("login", f"login?token={token}"):
        url = f"{jp_base_url}{page}"
        answer = await http_server_client.fetch(url, raise_error=False, follow_redirects=False)
        pairs = [cookie.partition(";")[0].partition("=") for cookie in answer.headers.get_list("Set-Cookie")]
        cookies |= {name: value for name, _, value in pairs}
    assert any(name.startswith("username") for name in cookies)
    assert "_xsrf" in cookies
    return cookies


def _header(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@pytest.mark.usefixtures("one")
async def test_no_verb_of_any_route_answers_without_a_login(ask: Ask) -> None:
    for route, verb in VERBS:
        body = None if verb in {"GET", "DELETE"} else {}
        for headers in ({}, {"Authorization": "token wrong"}):
            answer = await ask(route, verb, body, headers=headers, **ARGUMENTS)
            assert answer.status == 403, (route, verb)
        for other in ("HEAD", "OPTIONS", "PUT"):
            found = await ask(route, other, headers={}, is_checked=False, **ARGUMENTS)
            assert found.status in {403, 405}, (route, other)


@pytest.mark.usefixtures("one")
async def test_nothing_is_changed_without_the_xsrf_token(
    ask: Ask, http_server_client: Any, jp_base_url: str, jp_serverapp: Any
) -> None:
    cookies = await _login(http_server_client, jp_base_url, jp_serverapp)
    own = {"Cookie": _header(cookies)}
    for route, verb in WRITING:
        answer = await ask(route, verb, {}, headers=own, **ARGUMENTS)
        assert answer.status == 403, (route, verb)
        assert "_xsrf" in answer.message
    allowed = await ask("queue", "PATCH", {"held": True}, headers={**own, "X-XSRFToken": cookies["_xsrf"]})
    assert allowed.status == 200


@pytest.mark.usefixtures("one")
async def test_nothing_is_read_from_elsewhere(
    ask: Ask, http_server_client: Any, jp_base_url: str, jp_serverapp: Any
) -> None:
    cookies = await _login(http_server_client, jp_base_url, jp_serverapp)
    own = {"Cookie": _header(cookies)}
    reading = [route for route, verb in VERBS if verb == "GET"]
    for route in reading:
        for headers in ({}, {"Referer": "https://elsewhere.example/page"}):
            assert (await ask(route, headers={**own, **headers}, **ARGUMENTS)).status == 403, route
    here = http_server_client.get_url(f"{jp_base_url}lab")
    host = {"Referer": here, "Host": here.split("/")[2]}
    assert (await ask("queue", headers={**own, **host})).status == 200


@pytest.mark.usefixtures("one")
async def test_foreign_origins_are_refused(
    ask: Ask, http_server_client: Any, jp_base_url: str, jp_serverapp: Any
) -> None:
    cookies = await _login(http_server_client, jp_base_url, jp_serverapp)
    foreign = {"Cookie": _header(cookies), "X-XSRFToken": cookies["_xsrf"], "Origin": "https://elsewhere.example"}
    for route, verb in VERBS:
        answer = await ask(route, verb, None if verb in {"GET", "DELETE"} else {}, headers=foreign, **ARGUMENTS)
        assert answer.status in {403, 404}, (route, verb)
        assert "Access-Control-Allow-Origin" not in answer.headers


OUTSIDE = [
    "../secret", "runs/../../secret", "runs/one/../../../secret", "/etc/passwd", "//etc/passwd", "~/secret", "~root",
    "..", "runs/..", "runs\\..\\..\\secret", "C:\\secret", "runs/one\0", "\0", "a\nb", "x" * 5000, "/".join("x" * 300),
    "y" * 300, "../" * 50 + "etc/passwd", "link/secret", "link", "runs/linked", ".hidden", ".hidden/file", "runs/.lock",
    "loop/x", "file/x", "none", "./../secret", "%2e%2e/secret", "..%2fsecret", "%2e%2e%2fsecret",
    "runs/one/./../../../x", "\ufffd/x", "．．/secret", "․․/secret", "file:///etc/passwd",
]  # fmt: skip
PATHS = [
    (route, verb)
    for route, verb in VERBS
    if any("path" in str(p) for p in SPEC["paths"][f"/{route}"][verb.lower()].get("parameters", []))
]


@pytest.fixture
def traps(root: Path, tmp_path: Path) -> Path:
    """Put a run and a notebook outside of the root, with links to them inside."""
    outside = write_run(tmp_path / "secret")
    (outside / "notebook.ipynb").write_text('{"cells": []}', encoding="utf-8")
    (root / "link").symlink_to(tmp_path)
    (root / "runs").mkdir()
    (root / "runs" / "linked").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "file").write_text("text", encoding="utf-8")
    write_run(root / ".hidden")
    return outside


async def test_no_path_leads_out_of_the_root(ask: Ask, traps: Path) -> None:
    before = names(traps)
    for route, verb in PATHS:
        for path in OUTSIDE:
            body = {"name": "new", "command": "pause"} if verb != "GET" else None
            if verb == "PATCH":
                body = {"name": "new"}
            elif verb == "POST":
                body = {"command": "pause"}
            arguments = {"path": [path, path] if route == "compare" else path, "tag": "t"}
            answer = await ask(route, verb, body, **arguments)
            assert answer.status in {400, 404}, (route, verb, path, answer.raw[:200])
            assert "root:" not in answer.message
    assert names(traps) == before


async def test_no_folder_of_a_body_leads_out_of_the_root(ask: Ask, traps: Path, tmp_path: Path) -> None:
    del traps
    (tmp_path / "queue").mkdir()
    before = names(tmp_path)
    for path in OUTSIDE:
        answer = await ask("notebooks", "POST", {"template": "image-classification", "folder": path})
        assert answer.status in {400, 404}, path
        for body in ({"template": "image-classification", "folder": path}, {"notebook": path}, {"resume": path}):
            answer = await ask("jobs", "POST", body)
            assert answer.status in {400, 404}, body
        assert (await ask("runs", folder=path)).status in {400, 404}, path
        assert (await ask("data", path="file", folder=path)).status in {400, 404}, path
    assert names(tmp_path) == before


async def test_template_names_and_notebook_names_are_no_paths(ask: Ask) -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "a\0b", "templates/vision/image-classification", "", "x" * 5000):
        assert (await ask("templates/form", name=name)).status == 404
        assert (await ask("notebooks", "POST", {"template": name})).status == 404
    for name in ("../up", "a/b", "a\\b", "\0", ".hidden", "x" * 300, " ", "a\nb"):
        answer = await ask("notebooks", "POST", {"template": "image-classification", "name": name})
        assert answer.status == 400, name


async def test_listing_passes_over_links_and_hidden_folders(ask: Ask, traps: Path) -> None:
    del traps
    assert (await ask("runs")).json["runs"] == []


@pytest.mark.usefixtures("one")
async def test_bad_bodies_are_refused_in_one_line(ask: Ask) -> None:
    bodies = [b"", b"{", b"[]", b"null", b'"x"', b"{}}", b"\xff\xfe", b'{"unknown": 1}', b"NaN", b"[" * 5000]
    for route, verb in WRITING:
        if verb == "DELETE":
            continue
        for body in bodies:
            answer = await ask(route, verb, raw=body, **ARGUMENTS)
            assert answer.status in {400, 404}, (route, verb, body, answer.raw)
            assert answer.message


async def test_long_bodies_are_refused(ask: Ask) -> None:
    body = {"template": "image-classification", "values": {"data": "x" * (1 << 21)}}
    assert (await ask("jobs", "POST", body)).status == 413


async def test_values_that_are_not_finite_or_hostile_are_refused(ask: Ask) -> None:
    await ask("queue", "PATCH", {"held": True})
    for raw in (b'{"lr": NaN}', b'{"lr": Infinity}', b'{"lr": 1e999}', b'{"epochs": true}', b'{"lr": null}'):
        body = b'{"template": "image-classification", "values": ' + raw + b"}"
        assert (await ask("jobs", "POST", raw=body)).status == 400, raw
    name = "<img src=x onerror=alert(1)>"
    made = await ask("jobs", "POST", {"template": "image-classification", "name": name, "values": {"label": name}})
    assert made.status in {201, 400}
    plain = await ask("jobs", "POST", {"template": "image-classification", "name": "<b>bold<b>"})
    assert plain.json["run"] == "runs/<b>bold<b>"
    assert plain.headers["Content-Type"] == "application/json"


async def test_no_missing_argument_is_an_error_of_ours(ask: Ask) -> None:
    for route, verb in VERBS:
        operation = SPEC["paths"][f"/{route}"][verb.lower()]
        needs = any(p.get("required") or "$ref" in p for p in operation.get("parameters", []) if "since" not in str(p))
        if needs:
            body = None if verb in {"GET", "DELETE"} else {}
            assert (await ask(route, verb, body)).status == 400, (route, verb)


async def test_answers_are_no_pages(ask: Ask, root: Path) -> None:
    write_run(root / "runs" / "<script>alert(1)<script>")
    answer = await ask("runs")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert json.loads(answer.raw)["runs"][0]["name"] == "<script>alert(1)<script>"
