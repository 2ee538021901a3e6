"""Dropout can be set at every site of a model and nowhere else."""

from __future__ import annotations

import pytest
from torch import nn

from tunebook.dropout import DropoutSite, DropoutSites, find_sites
from tunebook.errors import RecipeError


class Path(nn.Module):
    drop_prob = 0.1


def model() -> nn.Module:
    return nn.Sequential(Path(), nn.Dropout(0.2), Path(), nn.Dropout2d(0.3), nn.Linear(2, 2))


def kind_of(_: str, part: nn.Module, attribute: str) -> str | None:
    return {"drop_prob": "depth", "p": "head" if isinstance(part, nn.Dropout) else None}.get(attribute)


def test_sites_are_found_in_order() -> None:
    sites = DropoutSites(model(), find_sites(model(), kind_of))
    assert [(s.module_name, s.attribute, s.kind) for s in sites.sites] == [
        ("0", "drop_prob", "depth"),
        ("1", "p", "head"),
        ("2", "drop_prob", "depth"),
    ]
    assert sites.kinds == ("depth", "head")


def test_switches_are_no_rates() -> None:
    part = nn.Module()
    part.p = True  # type: ignore[assignment]
    assert find_sites(part, lambda *_: "head") == []


def test_rates_are_set_by_kind_and_factor() -> None:
    module = model()
    sites = DropoutSites(
        module,
        [
            DropoutSite("0", "drop_prob", "depth", 0.0),
            DropoutSite("2", "drop_prob", "depth", 0.5),
            DropoutSite("1", "p", "head"),
        ],
    )
    sites.apply({"depth": 0.4, "head": None})
    assert [module[0].drop_prob, module[2].drop_prob, module[1].p, module[3].p] == [0.0, 0.2, 0.2, 0.3]  # type: ignore[index]
    assert sites.rates() == {"depth": 0.2, "head": 0.2}
    sites.apply({"head": 0.0})
    assert sites.rates()["head"] == 0.0


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    sites = DropoutSites(model(), find_sites(model(), kind_of))
    with pytest.raises(RecipeError, match="allowed: a number at least 0 and below 1"):
        sites.apply({"head": rate})


def test_a_kind_that_the_model_lacks_is_refused_unless_zero() -> None:
    sites = DropoutSites(model(), find_sites(model(), kind_of))
    sites.apply({"inner": 0.0, "other": None})
    with pytest.raises(RecipeError, match=r"no place for dropout of kind 'inner' \(it has: depth, head\)"):
        sites.apply({"inner": 0.1})


def test_refusing_one_rate_changes_none() -> None:
    module = model()
    sites = DropoutSites(module, find_sites(module, kind_of))
    before = sites.rates()
    with pytest.raises(RecipeError):
        sites.apply({"head": 0.9, "inner": 0.5})
    assert sites.rates() == before


def test_none_gives_back_the_model_s_own_rate_whatever_was_set_before() -> None:
    module = model()
    sites = DropoutSites(module, find_sites(module, kind_of))
    sites.apply({"head": 0.7, "depth": 0.5})
    assert sites.own_rates() == {"depth": 0.1, "head": 0.2}
    sites.apply({"head": None})
    assert sites.rates() == {"depth": 0.5, "head": 0.2}
