"""The recipe: every choice of a run, validated. The only place where a default or a bound is written."""

from __future__ import annotations

import ast
import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from tunebook import monitors, threshold_rule
from tunebook.errors import RecipeError, did_you_mean, shown
from tunebook.plain_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.config import JsonDict
    from pydantic.fields import FieldInfo

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Balance = Literal["none", "balanced", "effective"] | dict[str, Annotated[float, Field(ge=0.0)]]
Freeze = Literal["none", "backbone"] | int | list[str]
Unfreeze = list[tuple[Annotated[int, Field(ge=1)], Freeze]]
Monitor = Annotated[
    str,
    AfterValidator(monitors.check_monitor),
    WithJsonSchema({"type": "string", "pattern": rf"^({'|'.join(monitors.WORDS)}|{monitors.GAP}(:.+)?)$"}),
]
Threshold = (
    Annotated[float, Field(gt=0.0, lt=1.0)]
    | Annotated[
        str,
        AfterValidator(threshold_rule.check_rule),
        WithJsonSchema({"type": "string", "pattern": threshold_rule.PATTERN}),
    ]
)
#: What is done about gaps when a model is tuned: a remedy's own name exports it, see :data:`tunebook.mending.NAMES`.
Remedy = Literal[
    "none", "auto", "compare", "suggested", "refit", "reweight", "resample", "exponentiated_gradient", "grid_search",
    "worst_group", "thresholds", "calibration", "offsets",
]  # fmt: skip
RemedyGap = Literal["accuracy", "macro_f1", "demographic_parity", "equalized_odds", "equal_opportunity"]
FileName = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f/\\]*$", max_length=120)]

#: Groups of parameters, in the order in which forms and notebooks show them.
GROUPS = ("Data", "Model", "Balance", "Regularisation", "Schedule", "Run")


def field(default: Any, description: str, group: str, *, advanced: bool = False, **limits: Any) -> Any:  # noqa: ANN401
    """Declare a recipe field with its help, its group in forms, and whether it is folded away there."""
    extra: JsonDict = {"group": group, "advanced": advanced}
    if isinstance(default, list):
        return Field(
            default_factory=list(default).copy,
            validate_default=True,
            description=description,
            json_schema_extra=extra,
            **limits,
        )
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


class Recipe(BaseModel):
    """
    Every choice of a run, independent of the task.

    A recipe cannot be changed; :meth:`changed` gives a new, validated one. Types are strict:
    the string ``"0.1"`` is not a number. Unknown names, wrong types, values out of range and
    numbers that are not finite raise :class:`~tunebook.errors.RecipeError` with one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    task: ClassVar[str] = ""
    #: Parameters of which more works against over-fitting, in words.
    regularisers: ClassVar[str] = "dropout, weight_decay"
    #: Parameters that name a column or a group of the data, and those that a model may not allow.
    asked_of_data: ClassVar[tuple[str, ...]] = (
        "label", "sensitive", "mitigate", "mitigate_by", "threshold", "positive",
    )  # fmt: skip
    asked_of_model: ClassVar[tuple[str, ...]] = ("model", "weights")

    data: str = field("demo", "demo, a folder, a CSV/Parquet/JSONL file, or a Hugging Face dataset id", "Data")
    label: str = field("label", "column with the class, for tables", "Data", min_length=1)
    sensitive: list[str] | None = field(
        None, "columns to compare the model's quality by; None takes those that the demo declares", "Data"
    )
    multi_label: bool = field(
        default=False, description="whether an example may have several classes, with | between them", group="Data"
    )
    on_problem: Literal["stop", "drop"] = field(
        "drop", "what to do with bad examples: stop, or drop and count them", "Data"
    )
    validation_fraction: float = field(
        0.2, "share of the examples kept for validation when no split is given", "Data", advanced=True, gt=0.0, lt=0.9
    )
    test_fraction: float = field(
        0.2,
        "share of the examples kept for the final test when no split is given",
        "Data",
        advanced=True,
        gt=0.0,
        lt=0.9,
    )
    min_per_class: int = field(
        3, "fewest training examples with which a class is kept", "Data", advanced=True, ge=1, le=1_000_000
    )
    max_examples: int = field(
        0, "use at most this many examples, seeded and stratified; 0 is all", "Data", advanced=True, ge=0
    )

    model: str = field("", "model name, hub id, or a local folder", "Model")
    weights: str = field(
        "pretrained", "pretrained, none (random), or a local checkpoint file", "Model", advanced=True, min_length=1
    )
    freeze: Freeze = field(
        "backbone", "none, backbone, a number of stages (negative: all but the last ones), or glob patterns", "Model"
    )
    unfreeze: Unfreeze = field([], "gradual unfreezing: [[epoch, freeze], ...], each evaluated on its own", "Model")

    class_weights: Balance = field("none", "none, balanced, effective, or {class: weight} in the loss", "Balance")
    sampler: Balance = field("none", "none, balanced, effective, or {class: weight} in drawing examples", "Balance")
    threshold: Threshold = field(
        threshold_rule.PLAIN,
        "for two classes: score from which the positive class is said, or how it is chosen on validation: "
        f"{threshold_rule.FORMS}",
        "Balance",
    )
    positive: str = field(
        "", "for two classes: the class that the threshold is of; empty takes the second", "Balance", advanced=True
    )
    mitigate: Literal["none", "reweight", "resample"] = field(
        "none",
        "against gaps between groups: reweight the loss by group and class, or resample all groups to one size",
        "Balance",
        advanced=True,
    )
    mitigate_by: str = field(
        "",
        "sensitive column that mitigate goes by, several with | between them; empty takes the first",
        "Balance",
        advanced=True,
    )
    remedy: Remedy = field(
        "auto",
        "what mends a gap in the end: auto (in seconds) and compare show it, suggested or one of them exports it too",
        "Balance",
        advanced=True,
    )
    remedy_gap: RemedyGap = field("accuracy", "gap that remedies are sought for", "Balance", advanced=True)
    remedy_by: str = field(
        "",
        "sensitive column whose groups they treat, two with | between them; empty takes the one with the largest gap",
        "Balance",
        advanced=True,
    )

    dropout: Fraction | None = field(None, "dropout before the head; None keeps the model's own", "Regularisation")
    label_smoothing: Fraction = field(0.0, "share of the target spread over the other classes", "Regularisation")
    weight_decay: float = field(0.01, "AdamW weight decay, not on norms and biases", "Regularisation", ge=0.0, le=10.0)
    clip_norm: float = field(
        1.0, "largest gradient norm; 0 does not clip", "Regularisation", advanced=True, ge=0.0, le=1e6
    )

    epochs: int = field(6, "passes over the training examples", "Schedule", ge=1, le=100_000)
    batch_size: int = field(32, "examples a step", "Schedule", ge=1, le=65_536)
    lr: float = field(1e-3, "peak learning rate", "Schedule", gt=0.0, le=10.0)
    layer_decay: float = field(
        1.0, "learning rate multiplied by this for each stage below the head", "Schedule", advanced=True, gt=0.0, le=1.0
    )
    schedule: Literal["cosine", "linear", "constant"] = field(
        "cosine", "how the learning rate falls after the warm-up", "Schedule", advanced=True
    )
    warmup: Fraction = field(0.1, "share of all steps in which the learning rate rises", "Schedule", advanced=True)
    patience: int = field(
        0, "stop after this many epochs without a better validation score; 0 never", "Schedule", ge=0, le=100_000
    )
    monitor: Monitor = field(
        "macro_f1",
        f"what chooses the best epoch on validation: {monitors.FORMS}",
        "Schedule",
        advanced=True,
    )

    seed: int = field(0, "seed of splits, order, augmentation and dropout", "Run", ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda", "mps"] = field("auto", "where to compute", "Run", advanced=True)
    precision: Literal["auto", "fp32", "bf16"] = field(
        "auto", "auto uses bf16 where it helps this model on this machine", "Run", advanced=True
    )
    on_memory: Literal["stop", "try"] = field(
        "stop",
        "what to do if the session's limit of memory would not be enough: stop before it, or try",
        "Run",
        advanced=True,
    )
    cache: Literal["auto", "off"] = field(
        "auto", "auto computes what a frozen trunk gives once and keeps it on disk; off does so in every epoch", "Run"
    )
    extractor: Literal["auto", "torch", "onnxruntime", "openvino"] = field(
        "auto",
        "what computes a frozen trunk for the cache; auto takes the fastest that agrees with torch",
        "Run",
        advanced=True,
    )
    feature_precision: Literal["auto", "exact"] = field(
        "auto",
        "exact keeps cached features in fp32 as torch gives them; auto may fold, and use bf16 and fp16",
        "Run",
        advanced=True,
    )
    log_every: int = field(1, "steps between two points of the step curves", "Run", advanced=True, ge=1)
    checkpoint_seconds: float = field(
        60.0, "longest time between two checkpoints within an epoch; 0 is every step", "Run", advanced=True, ge=0.0
    )
    onnx: bool = field(default=True, description="also export the model as ONNX", group="Run", advanced=True)
    run: FileName = field("", "name of the run directory; empty makes one from task and time", "Run")
    runs_dir: str = field("runs", "folder that holds the run directories", "Run", advanced=True, min_length=1)
    resume: str = field("", "run directory to go on with", "Run", advanced=True)
    replay: str = field(
        "", "run directory, or its control.jsonl, whose live commands are repeated at their steps", "Run", advanced=True
    )

    @field_validator("unfreeze", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        # Notebooks, YAML and JSON have no tuples, and strict mode takes nothing else.
        if isinstance(value, (list, tuple)):
            return [tuple(pair) if isinstance(pair, list) else pair for pair in value]
        return value

    @field_validator("unfreeze")
    @classmethod
    def _ordered(cls, value: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        epochs = [epoch for epoch, _ in value]
        if epochs != sorted(set(epochs)):
            msg = "epochs must rise from one entry to the next"
            raise ValueError(msg)
        return value

    @field_validator("run")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if value.startswith("."):
            msg = "a run's name must not start with a dot"
            raise ValueError(msg)
        return value

    def __init__(self, **values: Any) -> None:  # noqa: ANN401
        self.check_names(values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(self._explain(error)) from None

    @classmethod
    def check_names(cls, names: Mapping[str, Any] | set[str] | list[str]) -> None:
        """
        Refuse parameter names that this recipe does not have.

        Raises
        ------
        RecipeError
            Names the first unknown parameter and the nearest known one.
        """
        for name in names:
            if name not in cls.model_fields:
                hint = did_you_mean(str(name), cls.model_fields) or f"; allowed: {', '.join(cls.model_fields)}"
                msg = f"unknown parameter {shown(name)}{hint}"
                raise RecipeError(msg)

    @classmethod
    def from_parameters(cls, namespace: Mapping[str, Any]) -> Self:
        """
        Make a recipe from a notebook's variables.

        Parameters
        ----------
        namespace
            ``globals()`` of the notebook. Names that are not parameters are left alone, except
            in a cell that papermill injected, where an unknown name is a mistake.

        Raises
        ------
        RecipeError
            A parameter is unknown, or its value is not allowed.
        """
        for source in namespace.get("In", ()):
            if isinstance(source, str) and source.startswith("# Parameters\n"):
                cls.check_names(assigned_names(source))
        made = cls(**{name: namespace[name] for name in cls.model_fields if name in namespace})
        if "In" in namespace:
            _made[cls] = (namespace, len(namespace["In"]), made)
        return made

    @classmethod
    def settle(cls, name: str, value: object) -> object:
        """
        Turn a value from a command line or a YAML file into the type that its parameter takes.

        Text is read as JSON or as a Python literal (``1e-3``, ``true``, ``[2, -2]``) where the
        parameter takes that, and stays text where it does not.

        Raises
        ------
        RecipeError
            The name is unknown or no reading of the value is allowed.
        """
        cls.check_names([name])
        tried = [*readings(value), value] if isinstance(value, str) else [value]
        errors = []
        for reading in tried:
            try:
                return getattr(cls(**{name: reading}), name)
            except RecipeError as error:
                errors.append(error)
        raise errors[0]

    def changed(self, **values: Any) -> Self:  # noqa: ANN401
        """Return a new recipe with some values replaced and all of them validated."""
        return type(self)(**{**self.model_dump(), **values})

    def dropout_rates(self) -> dict[str, float | None]:
        """Return the wanted rate for each kind of dropout site; ``None`` keeps the model's own."""
        return {"head": self.dropout}

    def freeze_at(self, epoch: int) -> Freeze:
        """Return the freeze in force in an epoch, counted from 0."""
        freeze: Freeze = self.freeze
        for first, then in self.unfreeze:
            if epoch >= first:
                freeze = then
        return freeze

    @classmethod
    def allowed(cls, name: str) -> str:
        """Say in words which values a parameter takes."""
        schema = cls.model_json_schema()
        return _in_words(schema["properties"][name], schema.get("$defs", {}))

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "recipe"
        value = first["input"]
        inputs = [e["input"] for e in error.errors() if e["loc"] and e["loc"][0] == name]
        # A union reports each of its members; the value of the whole field is the widest of them.
        value = inputs[0] if len(first["loc"]) <= 1 else value
        # Of the members of a union, one may say more than that the type is another.
        reasons = [
            e["ctx"]["error"]
            for e in error.errors()
            if e["loc"][:1] == first["loc"][:1] and "error" in e.get("ctx", {})
        ]
        reason = f"; {reasons[0]}" if reasons else ""
        if isinstance(value, float) and not math.isfinite(value):
            reason = "; the number must be finite"
        if name not in cls.model_fields:
            return f"{name}: {first['msg']}"
        return (
            f"parameter {name}: got {shown(value)} ({type(value).__name__}){reason}; "
            f"allowed: {cls.allowed(name)} ({cls.model_fields[name].description})"
        )

    @classmethod
    def parameters_cell(cls, values: Mapping[str, Any] | None = None) -> str:
        """
        Write the source of a notebook's parameters cell: typed, commented assignments by group.

        Parameters
        ----------
        values
            Values that replace the defaults.

        Returns
        -------
        str
            Python source that papermill can inspect (name, type, default and help).
        """
        values = dict(values or {})
        cls.check_names(values)
        defaults = cls()
        lines: list[str] = []
        for group in GROUPS:
            fields = [(n, f) for n, f in cls.model_fields.items() if _extra(f)["group"] == group]
            if not fields:
                continue
            lines += ["", f"# {group}"] if lines else [f"# {group}"]
            for name, info in fields:
                value = values.get(name, getattr(defaults, name))
                lines.append(f"{name}: {_annotation(info)} = {_literal(value)}  # {info.description}")
        return "\n".join(lines)


def _extra(info: FieldInfo) -> dict[str, Any]:
    extra = info.json_schema_extra
    return extra if isinstance(extra, dict) else {"group": "Run", "advanced": True}


def _literal(value: object) -> str:
    if isinstance(value, str):
        # Readers that split a cell into lines, as papermill does, also split at characters that Python does not.
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else ascii(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_literal(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _annotation(info: FieldInfo) -> str:
    """Name a field's type so that both Python and papermill's inspection read it."""
    names: list[str] = []

    def visit(kind: Any) -> None:  # noqa: ANN401
        if kind is type(None):
            names.append("None")
        elif isinstance(kind, type) and not get_args(kind):
            names.append(kind.__name__)
        elif getattr(kind, "__origin__", None) in (list, dict):
            names.append(kind.__origin__.__name__)
        elif hasattr(kind, "__metadata__"):
            visit(kind.__origin__)
        else:
            for part in get_args(kind):
                visit(part if not isinstance(part, str) else str)

    visit(info.annotation)
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else '"' + " or ".join(unique) + '"'


#: Characters of a value as text; longer ones are texts themselves.
_LONGEST_TEXT = 200_000

#: The recipe that was made last of a notebook's variables, by its class: with them, and how many cells had been run.
_made: dict[type[Recipe], tuple[Mapping[str, Any], int, Recipe]] = {}


def parameters_set_since(recipe: Recipe) -> list[str]:
    """
    Return the parameters that cells of a notebook set after the recipe was made of its variables.

    Parameters
    ----------
    recipe
        That recipe, or one that came from it.

    Returns
    -------
    list of str
        Those that have other values now, where the recipe still has the old ones. Only cells that set parameters and
        do nothing else count.
    """
    if type(recipe) not in _made:
        return []
    namespace, cells, made = _made[type(recipe)]
    names: dict[str, None] = {}
    for source in namespace["In"][cells:]:
        with suppress(SyntaxError, ValueError):
            is_plain = all(isinstance(node, (ast.Assign, ast.AnnAssign)) for node in ast.parse(source).body)
            found = assigned_names(source)
            if is_plain and set(found) <= set(type(recipe).model_fields):
                names.update(dict.fromkeys(found))
    changed = []
    for name in names:
        old = getattr(made, name)
        with suppress(RecipeError):
            if getattr(recipe, name) == old and getattr(recipe.changed(**{name: namespace.get(name)}), name) != old:
                changed.append(name)
    return changed


def readings(text: str) -> list[object]:
    """Return what a text of the command line means as JSON and as a Python literal, if anything."""
    found: list[object] = []
    if len(text) > _LONGEST_TEXT:
        return found
    with suppress(ValueError):
        found.append(parse_json(text))
    with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = ast.literal_eval(text)
        # Python reads hexadecimal numbers of any length and writes none of more than 4,300 digits.
        repr(value)
        found.append(value)
    return found


def assigned_names(source: str) -> list[str]:
    """Return the names that a cell assigns at its top level, in order."""
    names = []
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


def _in_words(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one for each kind of node
    """Put one JSON-schema node into words for an error line."""
    if "$ref" in schema:
        return _in_words(defs[schema["$ref"].rsplit("/", 1)[1]], defs)
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(_in_words(part, defs) for part in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(item) for item in schema["enum"])
    if "const" in schema:
        return json.dumps(schema["const"])
    kind = schema.get("type", "value")
    if kind in ("integer", "number"):
        word = "a whole number" if kind == "integer" else "a number"
        low = schema.get("minimum"), schema.get("exclusiveMinimum")
        high = schema.get("maximum"), schema.get("exclusiveMaximum")
        limits = [
            f"at least {low[0]:g}" if low[0] is not None else "",
            f"above {low[1]:g}" if low[1] is not None else "",
            f"at most {high[0]:g}" if high[0] is not None else "",
            f"below {high[1]:g}" if high[1] is not None else "",
        ]
        return " ".join([word, " and ".join(limit for limit in limits if limit)]).strip()
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_in_words(item, defs) for item in schema["prefixItems"]) + "]"
        return f"a list of {_in_words(schema.get('items', {}), defs)}"
    return {
        "string": "text",
        "boolean": "true or false",
        "null": "None",
        "object": "a mapping of class names to numbers",
    }.get(kind, "a value")
