"""The checks of texts: empty, damaged, extremely long, and there twice, exactly or nearly."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tunebook.duplicates import find_duplicates
from tunebook.errors import shown
from tunebook.findings import Finding, Findings, few_examples, imbalance
from tunebook.label_lists import list_in_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunebook.examples import Examples
    from tunebook.recipe import Recipe

_CASES_SHOWN = 3
#: Characters from which a text is called extremely long: some 40 pages.
_LONG = 100_000
#: Characters of a text by which near duplicates are looked for.
_COMPARED = 20_000
#: Texts that are looked at for lists of words.
_SEARCHED = 1_000
#: Texts with fewer words say too little to be called nearly the same: "not bad" and "not bad at all".
_FEWEST_WORDS = 8
#: Share of their runs of three words that near duplicates have in common, of all that either has.
_SAME = 0.7
_SHINGLE = 3
_BANDS, _BAND_HASHES, _NEIGHBOURS = 16, 3, 16
#: Characters that show nothing and change what stands around them: directions, joiners, marks of the byte order.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_WORD = re.compile(r"\w+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def check_texts(examples: Examples, recipe: Recipe) -> Findings:
    """
    Look for problems in texts; what is dropped for one of them is not looked at for another.

    Parameters
    ----------
    examples
        Their ``content`` is the text.
    recipe
        Gives ``min_per_class`` and, if it has one, ``match_case``.
    """
    texts = examples.frame["content"].tolist()
    match_case = bool(getattr(recipe, "match_case", False))
    plain = [normal(text, match_case=match_case) for text in texts]
    found = _cases(examples, [not text for text in plain], "empty", "without a word or a sign", drop=True)
    keys = [hashlib.sha256(text.encode()).hexdigest() if text else None for text in plain]
    copies = find_duplicates(examples, keys, near_duplicates(plain))
    found += copies if match_case else _with_case_said(examples, copies, keys)
    found += _cases(examples, [_is_damaged(text) for text in texts], "encoding damage", (
        "with signs that were read in another encoding than they were written in, such as \u00c3\u00a9 for \u00e9"
    ))  # fmt: skip
    found += _cases(examples, [bool(_CONTROL.search(text) or _INVISIBLE.search(text)) for text in texts], (
        "invisible characters"), "with characters that show nothing, such as changes of direction or zero-width spaces",
    )  # fmt: skip
    found += _cases(examples, [len(text) > _LONG for text in texts], "extremely long", (
        f"of more than {_LONG:,} characters, of which only the beginning is read (max_length)"
    ))  # fmt: skip
    listed = [text[:1] == "[" and len(list_in_text(text) or ()) > 1 for text in texts[:_SEARCHED]]
    if 2 * sum(listed) > len(listed):
        found += _cases(examples, [*listed, *[False] * (len(texts) - len(listed))], "lists of words", (
            "that are lists written as text, with brackets and quotes, and are read as they are; join the words first"
        ))  # fmt: skip
    gone = {i for finding in found for i in finding.drop}
    left = examples.without(gone)
    return Findings(examples, (*found, *few_examples(left, recipe.min_per_class), *imbalance(left)))


def normal(text: str, *, match_case: bool = False) -> str:
    """
    Return a text with what does not change its words taken out: spaces, invisible characters, other forms, case.

    Parameters
    ----------
    text
        Any.
    match_case
        Letter case stays.
    """
    text = _CONTROL.sub(" ", unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)))
    return " ".join((text if match_case else text.casefold()).split())


def _with_case_said(examples: Examples, copies: Sequence[Finding], keys: Sequence[str | None]) -> list[Finding]:
    """Say of findings that drop texts how many contents have copies that differ in letter case only."""
    place = {i: row for row, i in enumerate(examples.frame["id"])}
    texts = examples.frame["content"].tolist()
    told = []
    for finding in copies:
        spelt: dict[str | None, set[str]] = {}
        for row in (place[i] for i in finding.ids) if finding.drop else ():
            spelt.setdefault(keys[row], set()).add(normal(texts[row], match_case=True))
        count = sum(len(ways) > 1 for ways in spelt.values())
        more = f"; copies of {count} differ in letter case only: match_case=True takes them for different texts"
        told.append(replace(finding, message=finding.message + more) if count else finding)
    return told


def visible(text: str) -> str:
    """Return a text on one line with its invisible characters written out, so that it shows what it holds."""
    marked = _INVISIBLE.sub(lambda m: f"\u27e8U+{ord(m[0]):04X}\u27e9", text)
    return " ".join(_CONTROL.sub(lambda m: f"\u27e8U+{ord(m[0]):04X}\u27e9", marked).split())


def near_duplicates(texts: Sequence[str]) -> np.ndarray:
    """
    Find pairs of texts that have most of their runs of three words in common.

    Candidates are found by MinHash [1]_ in bands; each pair of them is then compared in full.

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
    .. [1] Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
    """
    shingles = [_shingles(text) for text in texts]
    rows = np.array([row for row, some in enumerate(shingles) if len(some)], dtype=np.int64)
    if not len(rows):
        return np.empty((0, 2), np.int64)
    pairs = rows[_candidates([shingles[row] for row in rows])]
    found = [(a, b) for a, b in pairs.tolist() if texts[a] != texts[b] and _share(shingles[a], shingles[b]) >= _SAME]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _candidates(shingles: Sequence[np.ndarray]) -> np.ndarray:
    """
    Return pairs of sets that agree in all the least hashes of one band, shape (pairs, 2), the smaller number first.

    Two sets with 0.7 of their elements in common do so in at least one of 16 bands of 3 hashes in 0.999 of the cases.
    Of many sets with the same band each is paired with the next 16 only, so that pairs stay in proportion to sets.
    """
    rng = np.random.default_rng(43)
    factors = rng.integers(1, 2**63, (_BANDS * _BAND_HASHES, 1), dtype=np.uint64) | np.uint64(1)
    least = np.empty((len(shingles), len(factors)), np.uint64)
    for row, values in enumerate(shingles):
        # Multiplying by odd numbers permutes 64-bit numbers; the upper bits of the products are well mixed.
        least[row] = ((values * factors) ^ ((values * factors) >> np.uint64(32))).min(axis=1)
    found = [np.empty((0, 2), np.int64)]
    for band in range(_BANDS):
        part = least[:, band * _BAND_HASHES : (band + 1) * _BAND_HASHES]
        order = np.lexsort(part.T)
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            equal = (part[order[:-step]] == part[order[step:]]).all(axis=1)
            if not equal.any():
                break
            found.append(np.sort(np.stack([order[:-step][equal], order[step:][equal]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _share(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of common elements of all that two sets have."""
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)


def _shingles(text: str) -> np.ndarray:
    """Return the hashes of a text's runs of three words, each once; none for a short text."""
    found = _WORD.findall(text[:_COMPARED])
    if len(found) < _FEWEST_WORDS:
        return np.empty(0, np.uint64)
    runs = (" ".join(found[k : k + _SHINGLE]) for k in range(len(found) - _SHINGLE + 1))
    hashes = b"".join(hashlib.blake2b(run.encode(), digest_size=8).digest() for run in runs)
    return np.unique(np.frombuffer(hashes, np.uint64))


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
