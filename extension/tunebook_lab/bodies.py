"""Bodies of requests, as the OpenAPI file describes them; what they do not name is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: A whole number, as JSON Schema has it: some programs write 2 as 2.0.
Whole = Annotated[int, BeforeValidator(_whole)]

#: Parameters by name; no notebook takes more.
Values = Annotated[dict[str, Any], Field(max_length=1_000)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class NewNotebook(Body):
    """A notebook to make."""

    template: str = ""
    notebook: str = ""
    folder: str = ""
    name: str = ""
    values: Values = {}


class Cell(Body):
    """A parameters cell to read."""

    source: str
    task: str = ""


class NewCell(Body):
    """A parameters cell to write."""

    source: str
    values: Values
    task: str = ""


class Check(Body):
    """Parameters to check."""

    task: str
    values: Values


class Name(Body):
    """A new name for a run."""

    name: str = Field(min_length=1, max_length=120)


class RunNotes(Body):
    """What a person writes beside a run; what is missing stays."""

    star: bool | None = None
    tags: list[str] | None = Field(default=None, max_length=100)
    note: str | None = Field(default=None, max_length=20_000)


class Command(Body):
    """A live command."""

    command: Literal["pause", "resume", "stop", "finish", "lr", "dropout", "freeze", "next_stage", "histograms"]
    value: Any = None


class NewSweep(Body):
    """How a sweep searches."""

    space: dict[str, str] = Field(min_length=1, max_length=1_000)
    trials: Whole | None = Field(default=None, ge=1)
    method: Literal["bayesian", "random", "grid"] = "bayesian"
    objectives: list[str] = Field(default=["macro_f1"], min_length=1, max_length=2)
    points: Whole = Field(default=5, ge=2)
    prune: bool | None = None
    workers: Whole = Field(default=0, ge=0)
    seed: Whole = Field(default=0, ge=0)


class NewJob(Body):
    """A background run to queue."""

    template: str = ""
    notebook: str = ""
    resume: str = ""
    values: Values = {}
    folder: str | None = None
    name: str = Field(default="", max_length=120)
    sweep: NewSweep | None = None


class Place(Body):
    """A place in the queue."""

    position: Whole = Field(ge=0)


class QueueSettings(Body):
    """How the queue is set."""

    max_running: Whole | None = Field(default=None, ge=1, le=64)
    held: bool | None = None
