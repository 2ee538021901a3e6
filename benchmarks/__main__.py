"""``python -m benchmarks list|run NAME``."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.catalogue import NAMES, get_benchmark
from tunebook.errors import TunebookError

#: Options that a benchmark may have, with their type and help.
_OPTIONS: dict[str, tuple[Any, str]] = {
    "data": (str, "folder of pictures, a sub-folder a class; without it, the demo"),
    "train": (str, "table of texts to train on (.tsv, .csv, .parquet, .jsonl); without it, the demo"),
    "dev": (str, "table of texts to measure on"),
    "text": (str, "column with the text"),
    "label": (str, "column with the label"),
    "examples": (int, "use at most this many examples; 0 is all"),
    "size": (int, "side of the pictures in pixels"),
    "epochs": (int, "passes over the training examples"),
    "batch_size": (int, "examples a step"),
    "lr": (float, "learning rate of the peers"),
    "own_lr": (float, "learning rate of Tunebook"),
    "rows": (int, "predictions"),
    "groups": (int, "groups"),
    "draws": (int, "draws for intervals"),
    "events": (int, "scalars in the log"),
    "trials": (int, "trials of the search"),
    "seed": (int, "seed of the split and of every contestant"),
}


def main() -> None:
    """Run the command and leave with its exit code: 1 for what a user can mend."""
    arguments = _parser().parse_args()
    # Whatever runs below is ended, and scratch folders removed, as they are by Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        arguments.call(arguments)
    except TunebookError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True)
    commands.add_parser("list", help="list the benchmarks and who takes part").set_defaults(call=_list)
    run = commands.add_parser("run", help="run a benchmark and print its table")
    run.set_defaults(call=_run)
    run.add_argument("name", metavar="NAME", help=", ".join(NAMES))
    run.add_argument("--repeats", type=int, default=0, help="rounds (default: the benchmark's own, at least 3)")
    run.add_argument("--threads", type=int, default=1, help="threads of every contestant")
    run.add_argument("--only", action="append", default=[], metavar="CONTESTANT", help="leave the others out")
    run.add_argument("--out", type=Path, help="file for all figures, as JSON; the table goes beside it as Markdown")
    run.add_argument("--quick", action="store_true", help="tiny sizes: tries every step, its figures say nothing")
    run.add_argument(
        "--tunebook", action="append", default=[], metavar="NAME=VALUE", help="a parameter of Tunebook's recipe"
    )
    for name, (kind, help_) in _OPTIONS.items():
        run.add_argument(f"--{name.replace('_', '-')}", type=kind, default=argparse.SUPPRESS, help=help_)
    child = commands.add_parser("contestant")
    child.set_defaults(call=_contestant)
    for name in ("function", "plan", "result"):
        child.add_argument(name)
    return parser


def _list(_: argparse.Namespace) -> None:
    for name in NAMES:
        benchmark = get_benchmark(name)
        print(f"{name}: {benchmark.summary}")
        print(f"    {', '.join(contestant.name for contestant in benchmark.contestants)}")


def _run(arguments: argparse.Namespace) -> None:
    from benchmarks.harness import run_benchmark
    from benchmarks.table import markdown
    from tunebook.storage import write_json, write_text

    benchmark = get_benchmark(arguments.name)
    options = {name: getattr(arguments, name) for name in _OPTIONS if hasattr(arguments, name)}
    for name in ("data", "train", "dev"):
        if options.get(name):  # contestants work in folders of their own
            options[name] = str(Path(options[name]).resolve())
    if arguments.tunebook:
        options["tunebook"] = dict(pair.partition("=")[::2] for pair in arguments.tunebook)
    plan = benchmark.settled(options, quick=arguments.quick)
    report = run_benchmark(
        benchmark,
        plan,
        only=arguments.only,
        repeats=arguments.repeats or (1 if arguments.quick else 0),
        threads=arguments.threads,
        command=_command(),
    )
    table = markdown(benchmark, report)
    print(table)
    if arguments.out:
        write_json(arguments.out, report.as_json())
        write_text(arguments.out.with_suffix(".md"), table + "\n")


def _command() -> str:
    """Return the command line, with files by their names alone: folders are those of one machine."""
    words = [word.rsplit("/", 1)[-1] if word.startswith("/") else word for word in sys.argv[1:]]
    return shlex.join(["python", "-m", "benchmarks", *words])


def _contestant(arguments: argparse.Namespace) -> None:
    from benchmarks.contestant import work

    work(arguments.function, Path(arguments.plan), Path(arguments.result))


if __name__ == "__main__":
    main()
