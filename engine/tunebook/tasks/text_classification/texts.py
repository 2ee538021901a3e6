"""Texts as a model reads them: made into tokens once, and put together so that little is padded."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook.balance import draw_order
from tunebook.tasks.base import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tunebook.examples import Examples
    from tunebook.tasks.base import Model
    from tunebook.tasks.text_classification.recipe import TextClassification

#: Batches are cut from this many at a time, sorted by length: more pad less, and order less at random.
_BUCKET = 50
#: Tokens in a group of texts that are evaluated together, padding included.
_EVALUATED_TOKENS = 2_048
#: Tokens of a training batch that a CPU runs at once. What is kept for the gradient is in proportion to them: with
#: MiniLM 0.2 MB a token. Fewer would make the matrices so small that they are slower.
_TRAINED_TOKENS = 768
#: Texts in one group, however short.
_MOST_TOGETHER = 256
#: Texts that are made into tokens in one call.
_TOKENIZED = 1_000
#: Characters a token may have before the rest of a text is left out unread. Few words are longer.
_CHARACTERS_A_TOKEN = 40


def tokenize(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[np.ndarray]:  # noqa: ANN401
    """
    Make texts into tokens.

    Parameters
    ----------
    tokenizer
        Of transformers.
    texts
        Of any length; what lies far behind ``max_length`` is not even looked at.
    max_length
        Most tokens of a text, special ones included.

    Returns
    -------
    list of numpy.ndarray
        For each text its token ids and their types, shape (2, tokens), int64, with at least one token.
    """
    found: list[np.ndarray] = []
    # Some tokenizers make nothing of a text without letters, and a model cannot read nothing.
    nothing = [tokenizer.pad_token_id if tokenizer.eos_token_id is None else tokenizer.eos_token_id]
    # Tokenizers keep what they cut off until a call is over: a million texts at once would not fit.
    for start in range(0, len(texts), _TOKENIZED):
        cut = [text[: _CHARACTERS_A_TOKEN * max_length] for text in texts[start : start + _TOKENIZED]]
        encoded = tokenizer(cut, truncation=True, max_length=max_length, return_attention_mask=False)
        rows = encoded["input_ids"]
        types = encoded["token_type_ids"] if "token_type_ids" in encoded else [[0] * len(row) for row in rows]
        found += [np.array([row or nothing, kind or [0]], np.int64) for row, kind in zip(rows, types, strict=True)]
    return found


def pad_tokens(rows: Sequence[np.ndarray], model: Model) -> dict[str, Tensor]:
    """
    Return what a model takes, padded to the longest of some texts.

    Parameters
    ----------
    rows
        As from :func:`tokenize`, at least one.
    model
        Its ``settings`` say which inputs it takes and on which side it is padded.

    Returns
    -------
    dict
        Each of shape (n, length), int64.
    """
    tokenizer, settings = model.processor, model.settings
    return stack(rows, tokenizer, settings["inputs"], settings["padding_side"])


def stack(rows: Sequence[np.ndarray], tokenizer: Any, names: Sequence[str], side: str) -> dict[str, Tensor]:  # noqa: ANN401
    """Pad texts on a side and return the inputs of some names, see :func:`pad_tokens`."""
    lengths = np.array([row.shape[1] for row in rows])
    size = int(lengths.max())
    shape = (len(rows), size)
    found = {
        "input_ids": np.full(shape, tokenizer.pad_token_id, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
        "token_type_ids": np.full(shape, tokenizer.pad_token_type_id, np.int64),
    }
    for place, (row, length) in enumerate(zip(rows, lengths.tolist(), strict=True)):
        part = slice(0, length) if side == "right" else slice(size - length, size)
        found["input_ids"][place, part], found["token_type_ids"][place, part] = row
        found["attention_mask"][place, part] = 1
    return {name: torch.from_numpy(found[name]) for name in names}


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return re.findall(r"\w+", text.lower())


class TextReader:
    """
    Makes batches of texts for one model.

    Texts of about the same length are put together [1]_, so that little is padded: the texts of an
    epoch are shuffled, cut into heaps of many batches, sorted by length within a heap, cut into
    batches, and these are shuffled again. The seed and the epoch decide everything.

    Parameters
    ----------
    examples
        Their ``content`` is the text.
    recipe
        Its ``max_length``, ``batch_size`` and ``seed``.
    model
        Its ``processor`` is the tokenizer.

    References
    ----------
    .. [1] Khomenko et al., "Accelerating recurrent neural network training using sequence bucketing
       and multi-GPU data parallelization", DSMP 2016.
    """

    def __init__(self, examples: Examples, recipe: TextClassification, model: Model) -> None:
        self._recipe = recipe
        self._tokens = tokenize(model.processor, examples.frame["content"].tolist(), recipe.max_length)
        self._lengths = np.array([row.shape[1] for row in self._tokens])
        self._targets = torch.from_numpy(examples.target_shares())
        self._model = model
        #: Models that mix padding into what they say, as FNet does, are given texts of one length at a time.
        self._pads = bool(model.settings.get("pads", True))

    def epoch_batches(self, rows: np.ndarray, weights: np.ndarray | None, epoch: int) -> list[np.ndarray]:
        """Return the rows of each step of an epoch, in order."""
        rng = np.random.default_rng([self._recipe.seed, 11, epoch])
        order = draw_order(rows, weights, rng)
        size = self._recipe.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * _BUCKET):
            heap = order[start : start + size * _BUCKET]
            heap = heap[np.argsort(self._lengths[heap], kind="stable")]
            batches += [heap[k : k + size] for k in range(0, len(heap), size)]
        # The smaller one stays at the end, where the loop can join it to another.
        full = [batch for batch in batches if len(batch) == size]
        rest = [batch for batch in batches if len(batch) < size]
        return [*(full[k] for k in rng.permutation(len(full))), *rest]

    def training_view(self, epoch: int, *, repeats: bool) -> int | None:  # noqa: ARG002
        """Return that texts are trained on as they are evaluated."""
        return None

    def mixes(self) -> bool:
        """Return that no text is blended with another."""
        return False

    def training_batches(self, rows: np.ndarray, place: tuple[int, int], part: slice, view: int | None) -> list[Batch]:  # noqa: ARG002
        """Return the examples ``rows[part]`` of a step, on a CPU in parts of few tokens."""
        return [Batch(self.inputs(group), self.targets(group)) for group in self.training_groups(rows[part])]

    def training_groups(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return the parts in which a step is run: on a CPU of few tokens each."""
        on_cpu = next(self._model.module.parameters()).device.type == "cpu"
        return self._groups(rows, _TRAINED_TOKENS) if on_cpu or not self._pads else [rows]

    def evaluation_batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Return rows in groups that are cheap to run together."""
        return self._groups(rows, _EVALUATED_TOKENS)

    def _groups(self, rows: np.ndarray, most: int) -> list[np.ndarray]:
        """Put rows of about the same length together, at most so many tokens with what is padded, and one at least."""
        order = rows[np.argsort(self._lengths[rows], kind="stable")]
        groups: list[np.ndarray] = []
        start = 0
        while start < len(order):
            end = start + 1
            while (
                end < len(order)
                and end - start < _MOST_TOGETHER
                and (end + 1 - start) * self._lengths[order[end]] <= most
                and (self._pads or self._lengths[order[end]] == self._lengths[order[start]])
            ):
                end += 1
            groups.append(order[start:end])
            start = end
        return groups

    def inputs(self, rows: np.ndarray, view: int | None = None) -> dict[str, Tensor]:  # noqa: ARG002
        """Return what the model takes of some texts, see :func:`pad_tokens`."""
        return pad_tokens([self._tokens[row] for row in rows], self._model)

    def outline(self, rows: np.ndarray) -> dict[str, Tensor]:
        """Return the inputs themselves: layers read masks, and padding takes no time."""
        return self.inputs(rows)

    def lengths(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the number of tokens of each text, shape (n,)."""
        found: np.ndarray = self._lengths[rows]
        return found

    def targets(self, rows: np.ndarray) -> Tensor:
        """Return how much of each class each text is, shape (n, classes), float32."""
        return self._targets[torch.from_numpy(rows)]

    def keys(self, rows: np.ndarray) -> list[bytes]:
        """Return 16 bytes for each text, of its tokens: what the model does not see tells no texts apart."""
        return [hashlib.sha256(self._tokens[row].tobytes()).digest()[:16] for row in rows]

    def transform(self, view: int | None) -> dict[str, Any]:  # noqa: ARG002
        """Return what decides a text's inputs beside its tokens."""
        settings = self._model.settings
        return {name: settings[name] for name in ("inputs", "padding_side", "pads") if name in settings} | {
            "text": "tokens"
        }
