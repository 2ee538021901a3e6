"""The checks of texts: empty, damaged, extremely long, and there twice, exactly or nearly."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from tunebook.duplicates import close_codes, find_duplicates
from tunebook.errors import shown
from tunebook.findings import Finding, Findings, few_examples, imbalance
from tunebook.tasks.text_classification.texts import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

_CASES_SHOWN = 3
#: Characters from which a text is called extremely long: some 40 pages.
_LONG = 100_000
#: Characters of a text by which near duplicates are looked for.
_COMPARED = 20_000
#: Texts with fewer words say too little to be called nearly the same: "not bad" and "not bad at all".
_FEWEST_WORDS = 8
#: Share of their runs of three words that near duplicates have in common, of all that either has.
_SAME = 0.7
_SHINGLE = 3
#: Characters that show nothing and change what stands around them: directions, joiners, marks of the byte order.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_texts(examples: Examples, recipe: Recipe) -> Findings:
    """Look for problems in texts; what is dropped for one of them is not looked at for another."""
    texts = examples.frame["content"].tolist()
    plain = [normal(text) for text in texts]
    found = _cases(examples, [not text for text in plain], "empty", "without a word or a sign", drop=True)
    keys = [hashlib.sha256(text.encode()).hexdigest() if text else None for text in plain]
    found += find_duplicates(examples, keys, near_duplicates(plain))
    found += _cases(examples, [_is_damaged(text) for text in texts], "encoding damage", (
        "with signs that were read in another encoding than they were written in, such as \u00c3\u00a9 for \u00e9"
    ))  # fmt: skip
    found += _cases(examples, [bool(_CONTROL.search(text) or _INVISIBLE.search(text)) for text in texts], (
        "invisible characters"), "with characters that show nothing, such as changes of direction or zero-width spaces",
    )  # fmt: skip
    found += _cases(examples, [len(text) > _LONG for text in texts], "extremely long", (
        f"of more than {_LONG:,} characters, of which only the beginning is read (max_length)"
    ))  # fmt: skip
    gone = {i for finding in found for i in finding.drop}
    left = examples.without(gone)
    return Findings(examples, (*found, *few_examples(left, recipe.min_per_class), *imbalance(left)))


def normal(text: str) -> str:
    """Return a text with what does not change its words taken out: case, spaces, invisible characters, other forms."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return " ".join(_CONTROL.sub(" ", text).casefold().split())


def visible(text: str) -> str:
    """Return a text on one line with its invisible characters written out, so that it shows what it holds."""
    marked = _INVISIBLE.sub(lambda m: f"\u27e8U+{ord(m[0]):04X}\u27e9", text)
    return " ".join(_CONTROL.sub(lambda m: f"\u27e8U+{ord(m[0]):04X}\u27e9", marked).split())


def near_duplicates(texts: Sequence[str]) -> np.ndarray:
    """
    Find pairs of texts that have most of their runs of three words in common.

    Candidates have close SimHash codes [1]_; each pair of them is then compared in full.

    Parameters
    ----------
    texts
        Normal forms, see :func:`normal`.

    Returns
    -------
    numpy.ndarray
        Shape (pairs, 2), int64, the smaller row number first; identical texts are no pair.

    References
    ----------
    .. [1] Charikar, "Similarity Estimation Techniques from Rounding Algorithms", STOC 2002.
    """
    shingles = [_shingles(text) for text in texts]
    rows = np.array([row for row, some in enumerate(shingles) if some], dtype=np.int64)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    codes = np.array([_simhash(shingles[row]) for row in rows], dtype=np.uint64)
    order = np.array([len(shingles[row]) for row in rows], dtype=np.float64)
    pairs = rows[close_codes(codes, order)]
    same = [len(shingles[a] & shingles[b]) >= _SAME * len(shingles[a] | shingles[b]) for a, b in pairs]
    distinct = [texts[a] != texts[b] for a, b in pairs]
    found: np.ndarray = pairs[np.array(same, bool) & np.array(distinct, bool)] if len(pairs) else pairs
    return found.reshape(-1, 2)


def _shingles(text: str) -> frozenset[int]:
    found = words(text[:_COMPARED])
    if len(found) < _FEWEST_WORDS:
        return frozenset()
    runs = (" ".join(found[k : k + _SHINGLE]) for k in range(len(found) - _SHINGLE + 1))
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "little") for run in runs)


def _simhash(shingles: frozenset[int]) -> int:
    values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    bits = np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1)
    return int(np.packbits(bits.sum(axis=0) * 2 > len(shingles)).view(np.uint64)[0])


def _is_damaged(text: str) -> bool:
    from ftfy.badness import is_bad  # noqa: PLC0415

    return "\ufffd" in text or bool(is_bad(text[:_COMPARED]))


def _cases(examples: Examples, hits: Sequence[bool], kind: str, what: str, *, drop: bool = False) -> list[Finding]:
    ids = tuple(i for i, hit in zip(examples.frame["id"], hits, strict=True) if hit)
    if not ids:
        return []
    named = ", ".join(map(shown, ids[:_CASES_SHOWN])) + (
        f" and {len(ids) - _CASES_SHOWN} more" if len(ids) > _CASES_SHOWN else ""
    )
    text = f"{len(ids)} text{'' if len(ids) == 1 else 's'} {what}: {named}"
    return [Finding(kind, text, ids, ids if drop else ())]
