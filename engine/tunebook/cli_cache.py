"""``tunebook cache``: look at the features that are kept on disk, and remove them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunebook.cli_tables import print_table
from tunebook.progress import safe
from tunebook.quantities import age, amount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.feature_store import TableInfo

cache_app = typer.Typer(
    help="List the features of frozen layers that are kept on disk, or clear them.",
    short_help="List or clear the features kept on disk.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_TITLES = ("name", "used", "size", "examples", "model", "boundary", "input", "extractor")
#: Digits of a table's name that are shown; they tell thousands of tables apart.
_SHOWN_DIGITS = 10
_WIDEST = 40
_DAY = 86_400.0


@cache_app.callback(invoke_without_command=True)
def cache_command(context: typer.Context) -> None:
    """List the features of frozen layers that are kept on disk, or clear them."""
    if context.invoked_subcommand is not None:
        return
    from tunebook.feature_store import LIMIT_VARIABLE, FeatureStore  # noqa: PLC0415

    store = FeatureStore()
    tables = store.tables()
    if tables:
        print_table(_TITLES, [_row(table) for table in tables])
    total = sum(table.nbytes for table in tables)
    typer.echo(f"{_count(len(tables))}, {amount(total)} of at most {amount(store.limit)} ({LIMIT_VARIABLE})")
    typer.echo(safe(store.folder))


@cache_app.command("clear")
def clear_command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="One table, by the beginning of its name.", show_default=False)
    ] = "",
    older_than: Annotated[
        float,
        typer.Option("--older-than", metavar="DAYS", min=0.0, help="Only what was not used for so long."),
    ] = 0.0,
) -> None:
    """Remove what is kept; what is in use stays."""
    from tunebook.feature_store import FeatureStore  # noqa: PLC0415

    done = FeatureStore().clear(name, older_than * _DAY)
    typer.echo(f"removed {_count(len(done.removed))}, {amount(done.freed)} freed")
    if done.kept:
        typer.echo(f"kept {_count(len(done.kept))} in use: {_names(done.kept)}")


def _row(table: TableInfo) -> tuple[str, ...]:
    address = table.address
    return (
        table.name[:_SHOWN_DIGITS],
        "now" if table.in_use else f"{age(table.used)} ago",
        amount(table.nbytes),
        str(table.examples),
        _brief(address.get("model")) or "unknown",
        _brief(address.get("boundary")),
        _input(address),
        ", ".join(filter(None, (_brief(address.get(name)) for name in ("extractor", "computed in", "precision")))),
    )


def _input(address: dict[str, Any]) -> str:
    """Say in a few words what the layers were given."""
    view = address.get("view")
    parts = (_brief(address.get("transform")), "" if view is None else f"view {_brief(view)}")
    return _cut(", ".join(filter(None, parts)))


def _brief(value: object) -> str:
    """Write any JSON value in a few words."""
    if value is None:
        return ""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, dict):
        return _cut(", ".join(f"{key} {_brief(inner)}" for key, inner in value.items()))
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _count(tables: int) -> str:
    return "1 table" if tables == 1 else f"{tables} tables"


def _names(names: Sequence[str]) -> str:
    return ", ".join(name[:_SHOWN_DIGITS] for name in names)
