"""A bias report in sentences for readers without statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tunebook.figures import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from tunebook.comparison import Change, Comparison, Gap, Pair

#: Below this a gap is said to be larger than chance would make it.
UNLIKELY = 0.05
#: Below this it is said that chance could have made it; above, that chance often would.
_POSSIBLE = 0.2
_LONGEST = 60
_MOST_NAMES = 5


def points(value: float) -> str:
    """Write a share or a difference in points of a hundred: whole ones from 1 on, one digit below."""
    number = abs(value) * 100.0
    text = f"{number:.0f}" if number >= 0.95 or number < 0.05 else f"{number:.1f}"  # noqa: PLR2004
    return f"{text} point" if text == "1" else f"{text} points"


def chance(p: float) -> str:
    """Say what a p-value means."""
    written = "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.01 else f"p = {p:.2f}"  # noqa: PLR2004
    if p < UNLIKELY:
        return f"chance alone would rarely make such a gap ({written})"
    if p < _POSSIBLE:
        return f"chance alone could make such a gap ({written})"
    return f"chance alone would often make such a gap ({written})"


def name_group(name: str) -> str:
    """Write a group's name as a part of a sentence: quoted, on one line, and not longer than can be read."""
    return f"“{plain(name, _LONGEST)}”"


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def gap_sentence(gap: Gap) -> str:
    """Say between which groups a gap is, how large it is, and whether chance would make it; "" if it is undefined."""
    if gap.widest is None or gap.clearest is None:
        return ""
    if round(gap.difference, 6) == 0.0:
        return f"No gap in {gap.widest.metric} was seen between {gap.groups} groups."
    if gap.p >= UNLIKELY or _same(gap.widest, gap.clearest):
        return f"{_pair_words(gap.widest)}; {chance(gap.p)}."
    clear = _pair_words(gap.clearest)
    return f"{_pair_words(gap.widest)}. The clearest gap is another: {clear[:1].lower()}{clear[1:]}; {chance(gap.p)}."


def _same(one: Pair, other: Pair) -> bool:
    return (one.metric, one.lowest, one.highest) == (other.metric, other.lowest, other.highest)


def _pair_words(pair: Pair) -> str:
    low, high = name_group(pair.lowest), name_group(pair.highest)
    size, shares = points(pair.difference), (pair.lowest_value, pair.highest_value)
    label = f"{plain(pair.metric.label, _LONGEST)!r}"
    less, more = (_percent(share) for share in shares)
    return {
        "accuracy": f"Accuracy is {size} lower for {low} ({shares[0]:.2f}) than for {high} ({shares[1]:.2f})",
        "macro_f1": f"Macro-F1 is {size} lower for {low} ({shares[0]:.2f}) than for {high} ({shares[1]:.2f})",
        "calibration_error": (
            f"Its confidence is off by {points(shares[1])} for {high}, by {points(shares[0])} for {low}"
        ),
        "selection_rate": f"It says {label} of {more} of {high} and of {less} of {low}, {size} apart",
        "true_positive_rate": f"Of what is {label} it finds {less} in {low} and {more} in {high}, {size} apart",
        "false_positive_rate": (
            f"Of what is not {label} it takes {more} for it in {high} and {less} in {low}, {size} apart"
        ),
    }[pair.metric.name]


def change_sentence(change: Change | None, *, tuned: bool = True) -> str:
    """
    Say whether tuning widened a gap; "" if that cannot be told for want of a baseline or of groups.

    Parameters
    ----------
    change
        Of the gap.
    tuned
        Whether the second model is the first one tuned, or another one.
    """
    if change is None or np.isnan(change.change):
        return ""
    before, after = points(change.before), points(change.after)
    interval = f"95 % interval of the change: {_signed(change.low)} to {_signed(change.high)}"
    doer, against = ("Tuning", "With tuning") if tuned else ("Against the baseline it", "Against the baseline")
    if change.high < 0.0:
        return f"{doer} narrowed the gap from {before} to {after} ({interval})."
    if change.low > 0.0:
        return f"{doer} widened the gap from {before} to {after} ({interval})."
    if before == after:
        return f"{doer} left the gap at {after} ({interval})."
    return f"{against} the gap went from {before} to {after}, which may be chance ({interval})."


def _signed(value: float) -> str:
    """Write an end of an interval in points: one digit below 1, so that what is not 0 does not read 0."""
    number = value * 100.0
    text = f"{abs(number):.0f}" if abs(number) >= 0.95 or abs(number) < 0.05 else f"{abs(number):.1f}"  # noqa: PLR2004
    return text if text == "0" else f"{'+' if number > 0 else chr(0x2212)}{text}"


def notes_on_groups(comparison: Comparison) -> list[str]:
    """Say which groups are too small, how many examples have no value, and which classes do not occur."""
    groups, counts, total = comparison.groups, comparison.counts, int(comparison.counts.sum())
    said = []
    small = [
        f"{name_group(groups.names[k])} ({counts[k]})"
        for k in np.flatnonzero(comparison.is_small & (counts > 0) & ~groups.is_pooled)
    ]
    if small:
        said.append(f"Fewer than {comparison.minimum} examples, so left out of the gaps: {_listed(small)}.")
    if groups.missing >= 0 and counts[groups.missing]:
        said.append(
            f"{counts[groups.missing]:,} of {total:,} examples have no value: they are the group "
            f"{groups.names[groups.missing]}."
        )
    if (comparison.counted[-1, :, 0]).sum() < 2:  # noqa: PLR2004
        said.append("There are no two groups large enough, so no gap can be measured.")
    return said


def notes_on_outcomes(comparison: Comparison) -> list[str]:
    """Say what of the truth makes metrics undefined."""
    outcomes = comparison.outcomes
    said = []
    truth = outcomes.truth
    occurring = truth.any(axis=0) if outcomes.multi_label else np.isin(np.arange(len(outcomes.classes)), truth)
    if not outcomes.multi_label and occurring.sum() == 1:
        only = plain(outcomes.classes[int(np.flatnonzero(occurring)[0])], _LONGEST)
        said.append(f"All examples are {only!r}: what needs another class is undefined.")
    elif not occurring.all():
        absent = [plain(outcomes.classes[int(k)], _LONGEST) for k in np.flatnonzero(~occurring)]
        said.append(f"No example is of {_listed(absent)}: its true positive rate is undefined.")
    if not outcomes.certainty:
        said.append("The predictions have no scores, so calibration is undefined.")
    return said


def headline(gaps: Mapping[str, Gap], single: Collection[str]) -> str:
    """
    Say in a sentence or two for whom the model is worse.

    Parameters
    ----------
    gaps
        Attribute or intersection -> its gap in accuracy.
    single
        Which of them are single attributes: what is clear by one of them is said before what needs two.
    """
    found = {name: gap for name, gap in gaps.items() if gap.clearest is not None}
    if not gaps:
        return "No sensitive attribute was named, so no groups were compared."
    if not found:
        return "No two groups are large enough to be compared."
    clear = [name for name, gap in found.items() if gap.p < UNLIKELY]
    if not clear:
        where = "" if len(found) == 1 else f", by any of {len(found)} attributes and intersections"
        return (
            f"No gap in accuracy between groups is larger than chance would make it{where}. "
            "That does not show that there is none: with more examples smaller gaps can be seen."
        )
    first, *rest = sorted(clear, key=lambda name: (name not in single, found[name].p, -found[name].difference))
    gap = found[first]
    worse = gap.clearest.lowest if gap.clearest is not None else ""
    others = [f"by {plain(name, _LONGEST)}" for name in rest]
    also = f" There are clear gaps in accuracy {_listed(others)}, too." if others else ""
    return f"The model is worse for {name_group(worse)}, by {plain(first, _LONGEST)}: {gap_sentence(gap)}{also}"


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:_MOST_NAMES])
    if len(names) > _MOST_NAMES:
        shown.append(f"{len(names) - _MOST_NAMES:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
