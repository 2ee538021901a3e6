"""A whole run as one page to hand on: no network, no script and no other file. Every name in it is escaped."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import math
from typing import TYPE_CHECKING, Any

from tunebook import opening
from tunebook.handout_curves import STYLE as CURVES_STYLE
from tunebook.handout_curves import draw_curves
from tunebook.recipe_words import all_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tunebook.run_curves import RunCurves

#: Bytes of all pictures and of the bias report, and of one file of figures.
MOST_PICTURES, LARGEST_REPORT, LARGEST = 24 << 20, 16 << 20, 32 << 20
#: Pairs of classes, trials and signs of a cell that are shown.
MOST_PAIRS, MOST_TRIALS, LONGEST = 50, 300, 2_000
_LONGEST_CARD = 1 << 20
_SPLITS = ("train", "validation", "test")
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-src 'self'"
_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #5f6873; --line: #d9dde2 }
@media (prefers-color-scheme: dark) { :root { --page: #111214; --ink: #e8eaed; --soft: #9aa2ac; --line: #33373d } }
* { box-sizing: border-box }
body { background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  font-variant-numeric: tabular-nums; max-width: 68rem; overflow-wrap: anywhere; padding: 1.5rem 1rem 4rem }
h1 { font-size: 1.4rem; margin: 0 } h2 { border-top: 1px solid var(--line); font-size: 1.1rem; margin: 2rem 0 .6rem;
  padding-top: 1rem } .soft, figcaption, th { color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse } th { font-weight: 400; text-align: left }
th, td { padding: .28rem 1.2rem .28rem 0; vertical-align: top } tbody tr { border-top: 1px solid var(--line) }
.number { text-align: right; white-space: nowrap } .chosen { font-weight: 600 }
figure { margin: 1rem 0 } figure img { background: #fff; max-width: 100% }
iframe { border: 1px solid var(--line); height: 85vh; width: 100% }
pre { white-space: pre-wrap } summary { cursor: pointer }
@media print { body { max-width: none } figure, tr { break-inside: avoid-page } iframe { height: 26cm } }
"""


def write_handout(path: Path, curves: RunCurves | None = None) -> str:
    """
    Write a run or a sweep as one page of HTML: results, curves, figures, bias, recipe, model card.

    Parameters
    ----------
    path
        Its directory. What is not there yet is left out; what cannot be read, or is too large, is named.
    curves
        Its log, read already; it is read here where there is none.

    Returns
    -------
    str
        A document of at most some 60 MB.

    Raises
    ------
    StorageError
        The log cannot be read.
    """
    page = _Page(path)
    state, recipe, metrics = (page.mapping(f"{name}.json") for name in ("state", "recipe", "metrics"))
    said = [_text(state.get(name)) for name in ("state", "task", "message") if state.get(name)]
    parts = [
        f"<h1>{escape(path.name)}</h1><p class='soft'>{escape(' · '.join(said))}</p>",
        *_verdicts(metrics),
        *_section("Results", _results(metrics)),
        *_section("Trials", page.trials()),
        *_section("Curves", draw_curves(path, curves)),
        *_section("Most frequent mistakes, test set", _mistakes(metrics)),
        *_section("Figures", page.pictures()),
        *_section("Bias", page.bias()),
        *_section("Recipe", _recipe(recipe)),
        *_section("Made from", _facts(recipe)),
        *_section("Model card", page.card()),
    ]
    left_out = "".join(f"<li>{escape(line)}</li>" for line in page.left_out)
    parts += _section("Left out", [f"<ul>{left_out}</ul>"] if left_out else [])
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(path.name)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}{CURVES_STYLE}</style></head>'
    )
    return f"{head}<body><main>{''.join(parts)}</main></body></html>\n"


def escape(text: object) -> str:
    """Make a text from the data harmless in HTML: no markup, no sign that cannot be shown."""
    line = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in str(text))
    return html.escape(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")


class _Page:
    """Reads the files of a run, each within its bounds, and remembers what was left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: list[str] = []
        self._room = MOST_PICTURES

    def read(self, name: str, largest: int) -> bytes:
        """Return a file's bytes; empty if it is not there, or left out."""
        file = self.path / name
        if not opening.is_file(file):
            return b""
        try:
            return opening.read_bytes(file, largest)
        except OSError as error:
            self.left_out.append(f"{name}: {error.strerror or error}")
            return b""

    def mapping(self, name: str) -> dict[str, Any]:
        raw = self.read(name, LARGEST)
        try:
            found = json.loads(raw) if raw else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.left_out.append(f"{name}: it is damaged")
            return {}
        return found

    def pictures(self) -> Iterator[str]:
        for folder in ("report", "figures"):
            try:
                names = sorted(opening.names_in(self.path / folder))
            except OSError:
                continue
            for name in names:
                if name.endswith(".png") and not name.startswith(".") and (found := self._picture(f"{folder}/{name}")):
                    yield found

    def _picture(self, name: str) -> str:
        raw = self.read(name, self._room)
        if not raw:
            return ""
        self._room -= len(raw)
        words = self.read(f"{name[:-4]}.txt", 64 << 10).decode("utf-8", "replace") or name
        data = base64.b64encode(raw).decode("ascii")
        said = escape(words)
        return f'<figure><img alt="{said}" src="data:image/png;base64,{data}"><figcaption>{said}</figcaption></figure>'

    def bias(self) -> Iterator[str]:
        rows = []
        for row in _mappings(self.mapping("report/bias.json").get("gaps")):
            value = _at(row, "models", "tuned", "difference", "value")
            if row.get("split") == "test" and isinstance(value, (int, float)):
                rows.append([row.get("attribute"), row.get("gap"), _number(value)])
        if rows:
            yield _table(["attribute", "gap", "test set"], rows, numbers={2})
        page = self.read("report/bias.html", LARGEST_REPORT).decode("utf-8", "replace")
        if page:
            # A frame without an origin, scripts or forms.
            yield f'<iframe sandbox="" title="Bias report" srcdoc="{html.escape(page)}"></iframe>'

    def card(self) -> Iterator[str]:
        text = self.read("README.md", _LONGEST_CARD).decode("utf-8", "replace")
        if text:
            shown = html.escape("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text))
            yield f"<details><summary>As Markdown</summary><pre>{shown}</pre></details>"

    def trials(self) -> Iterator[str]:
        raw = self.read("trials.csv", LARGEST)
        if not raw:
            return
        try:
            rows = list(csv.reader(io.StringIO(raw.decode("utf-8", "replace"), newline="")))
        except csv.Error as error:
            self.left_out.append(f"trials.csv: {error}")
            return
        if rows:
            yield _table(rows[0], rows[1 : MOST_TRIALS + 1])
            if len(rows) > MOST_TRIALS + 1:
                self.left_out.append(f"trials.csv: {len(rows) - 1 - MOST_TRIALS} of {len(rows) - 1} trials")


def _section(title: str, parts: Iterable[str]) -> list[str]:
    found = [part for part in parts if part]
    return [f"<section><h2>{escape(title)}</h2>{''.join(found)}</section>"] if found else []


def _verdicts(metrics: Mapping[str, Any]) -> Iterator[str]:
    for verdict in _mappings(metrics.get("verdicts")):
        said = escape(f"{_text(verdict.get('reason'))} {_text(verdict.get('advice'))}")
        yield f"<p><strong>{escape(_text(verdict.get('name')))}</strong> {said}</p>"


def _results(metrics: Mapping[str, Any]) -> Iterator[str]:
    baselines = metrics.get("baselines")
    models = {**(baselines if isinstance(baselines, dict) else {}), "tuned": metrics.get("tuned")}
    found = [
        (str(name), split, model[split])
        for name, model in models.items()
        if isinstance(model, dict)
        for split in _SPLITS
        if isinstance(model.get(split), dict)
    ]
    names = list(dict.fromkeys(key for *_, scores in found for key in scores if _is_number(scores[key])))[:12]
    if names:
        rows = [
            [name, split, *(_number(scores[key]) if key in scores else "" for key in names)]
            for name, split, scores in found
        ]
        yield _table(["model", "split", *names], rows, numbers=set(range(2, 2 + len(names))))


def _mistakes(metrics: Mapping[str, Any]) -> Iterator[str]:
    classes, counts = metrics.get("classes"), _at(metrics, "tuned", "test", "confusion")
    if metrics.get("multi_label") or not isinstance(classes, list) or not isinstance(counts, list):
        return
    pairs = []
    for truth, line in zip(classes, counts, strict=False):
        if not isinstance(line, list) or len(line) != len(classes) or not all(type(n) is int for n in line):
            return
        of = sum(line)
        pairs += [(n, of, truth, said) for said, n in zip(classes, line, strict=True) if n and said != truth]
    pairs.sort(key=lambda pair: -pair[0])
    if pairs:
        rows = [[truth, said, f"{n} of {of}"] for n, of, truth, said in pairs[:MOST_PAIRS]]
        yield _table(["class", "taken for", "times"], rows, numbers={2})
        if len(pairs) > MOST_PAIRS:
            yield f"<p class='soft'>The most frequent {MOST_PAIRS} of {len(pairs):,} pairs.</p>"


def _recipe(recipe: Mapping[str, Any]) -> Iterator[str]:
    parameters = recipe.get("parameters")
    if not isinstance(parameters, dict) or not parameters:
        return
    words = all_in_words(parameters)
    rows = [[name, words[name], json.dumps(value, ensure_ascii=False)] for name, value in parameters.items()]
    yield _table(["parameter", "means", "value"], rows)


def _facts(recipe: Mapping[str, Any]) -> Iterator[str]:
    data, model, versions = (_at(recipe, key) for key in ("data", "model", "versions"))
    facts = {"device": recipe.get("device"), "seed": recipe.get("seed")}
    for what, found, keys in (
        ("data", data, ("source", "examples", "sha256")),
        ("model", model, ("name", "origin", "sha256")),
    ):
        facts |= {f"{what}, {key}": found.get(key) for key in keys} if isinstance(found, dict) else {}
    facts |= {f"version of {name}": value for name, value in versions.items()} if isinstance(versions, dict) else {}
    rows = [[name, value] for name, value in facts.items() if value not in (None, "")]
    if rows:
        yield _table(["what", ""], rows)


def _table(heads: Sequence[object], rows: Iterable[Sequence[object]], numbers: Iterable[int] = ()) -> str:
    right = set(numbers)
    kinds = [' class="number"' if place in right else "" for place in range(len(heads))]

    def cells(tag: str, row: Sequence[object]) -> str:
        texts = (f"<{tag}{kind}>{escape(_text(cell))}</{tag}>" for cell, kind in zip(row, kinds, strict=False))
        return f"<tr>{''.join(texts)}</tr>"

    body = "".join(cells("td", row) for row in rows)
    return f"<div class='wide'><table><thead>{cells('th', heads)}</thead><tbody>{body}</tbody></table></div>"


def _at(value: object, *keys: str) -> Any:  # noqa: ANN401
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _mappings(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _is_number(value: object) -> bool:
    return type(value) in {int, float} and math.isfinite(value)  # type: ignore[arg-type]


def _number(value: object) -> str:
    if not _is_number(value):
        return "undefined"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
