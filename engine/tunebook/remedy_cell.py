"""Remedies compared as a cell keeps them: the frontier, a table and sentences, as PNG, as HTML and as text."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tunebook.bias_tracks import signed
from tunebook.cell_tables import Table, escape, picture_html
from tunebook.comparison import GAP_WORDS
from tunebook.figures import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunebook.figures import Picture

_LONGEST = 60


def mime_bundle(found: Mapping[str, Any], plot: Picture) -> dict[str, str]:
    """
    Return what a cell's output holds; each of its forms says the same.

    Parameters
    ----------
    found
        From :func:`tunebook.remedy_json.as_json`.
    plot
        The frontier.

    Returns
    -------
    dict
        ``image/png`` in base64, ``text/html`` and ``text/plain``.
    """
    said, table = words(found), tabulate(found)
    title = f"Remedies for the gap in {GAP_WORDS[found['gap']]} by {plain(found['attribute'], _LONGEST)}, test set"
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in said[1:])
    html = f"<p><strong>{escape(said[0])}</strong></p>{picture_html(plot)}{table.html(title)}<ul>{listed}</ul>"
    text = "\n".join([said[0], "", title, *table.lines(), "", *said[1:]])
    return {"image/png": base64.b64encode(plot.png).decode("ascii"), "text/html": html, "text/plain": text}


def words(found: Mapping[str, Any]) -> list[str]:
    """Say what the validation set speaks for, what that does, which remedy is exported, and what was left out."""
    sentences = {one["name"]: one["sentence"] for one in found["remedies"]}
    first = next(iter(sentences.values()))
    chosen = sentences[found["suggested"]]
    return [found["advice"], *dict.fromkeys((first, chosen)), export_sentence(found), *found["notes"]]


def export_sentence(found: Mapping[str, Any]) -> str:
    """Say which remedy is in the model folder."""
    exported = found["exported"]
    if exported is None:
        return "The model is exported as it was tuned, without any of them."
    name, attribute = (plain(exported[key], _LONGEST) for key in ("name", "attribute"))
    return f"Exported with the model: “{name}”, by {attribute}; model/remedy.json says how it is applied."


def tabulate(found: Mapping[str, Any]) -> Table:
    """Tabulate accuracy, the gap and the group that was best off as tuned, of each remedy on the test set."""
    effects = {one["name"]: one["test"] for one in found["remedies"]}
    best = next(iter(effects.values()))["best_off"]
    of = f"best-off group ({plain(best['group'], 30)})" if best else "best-off group"
    heads = [
        "remedy",
        "accuracy",
        "95 % interval",
        "gap",
        "95 % interval",
        "its change",
        "95 % interval",
        of,
        "its change",
    ]
    rows = []
    for name, effect in effects.items():
        accuracy, gap, change = effect["accuracy"], effect["gap"], effect["gap_change"]
        group = effect["best_off"]
        rows.append([
            plain(name, _LONGEST), share(accuracy["value"]), between(accuracy), share(gap["value"]), between(gap),
            *(["", ""] if change is None else [signed(change["value"]), between(change, is_signed=True)]),
            share(group and group["value"]), "" if change is None or group is None else signed(group["change"]),
        ])  # fmt: skip
    return Table(heads, rows)


def share(value: float | None) -> str:
    """Write a share with two digits."""
    return "undefined" if value is None else f"{value:.2f}"


def between(figure: Mapping[str, float | None], *, is_signed: bool = False) -> str:
    """Write the interval of a figure; nothing where it is undefined."""
    if figure["low"] is None or figure["high"] is None:
        return ""
    write = signed if is_signed else share
    return f"{write(figure['low'])} to {write(figure['high'])}"
