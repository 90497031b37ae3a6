"""`foretell recommend`: candidates ranked for one item of work, with their risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from foretell.cli import output
from foretell.cli.deciding import (
    answering,
    answering_options,
    features_of,
    limit_of,
    limiting_options,
    named_features,
    objective_of,
)
from foretell.cli.pictures import (
    check_pictures,
    draw,
    estimate,
    print_rows,
    print_told,
    writing_options,
)

if TYPE_CHECKING:
    from foretell.decide import Candidate, Excluded, Ranked, Recommendation

VERDICTS = {
    "clear": "clear: the first is the best with a probability of at least 0.8",
    "close": "close: another may well be better, by little",
    "insufficient_evidence": "not enough evidence to tell the candidates apart",
    "infeasible": "no candidate keeps every limit",
}


@click.command(short_help="Rank hardware for one item of work.")
@click.argument("workload")
@click.option("--set", "sets", multiple=True, metavar="NAME=VALUE", help="A feature of the item.")
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    metavar="NAME[,FEATURE=VALUE...]",
    help="May be given many times; also price_per_hour=..., available=..., and facts.",
)
@click.option("--all", "all_known", is_flag=True, help="Also everything that the bundle knows.")
@click.option("--candidate-feature", default="", help="What candidates are values of.")
@limiting_options
@click.option("--pareto", multiple=True, metavar="NAME", help="Quantities of the Pareto front.")
@click.option("--max-results", default=10, show_default=True, help="How many are shown.")
@click.option("--level", default=0.8, show_default=True, help="Level of the intervals.")
@click.option("--support-floor", default=0.0, help="Support below which evidence lacks.")
@answering_options
@writing_options
def recommend(
    workload: str,
    sets: tuple[str, ...],
    candidates: tuple[str, ...],
    registry: Path | None,
    bundle: str | None,
    pictures: tuple[Path, ...],
    as_markdown: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 -- what is weighed, and the server
) -> None:
    """Rank hardware, or other candidates, for one item of work.

    The objective is weighed over all that may happen. Candidates that break a limit are left
    out, and it is said why; without any that keeps them, the nearest is named.

    \b
    Example:
      foretell recommend inference --set model=resnet50 --candidate A100,price_per_hour=2 \\
          --candidate T4,price_per_hour=0.35 --objective cost --limit "latency_ms<=50"
    """
    check_pictures(pictures)
    asked = _asked(given)
    with answering(workload, registry, bundle, given) as asker:
        features = features_of("--set", sets, asker.kinds)
        chosen = tuple(_candidate(text, asker.kinds) for text in candidates)
        found = asker.recommend(_question(features, chosen, asked))
    labels = [_label(one, chosen) for one in found.ranked]
    if as_json:
        output.print_json(found)
    else:
        excluded = [_label(one, chosen) for one in found.excluded]
        _print(found, labels, excluded, markdown=as_markdown)
    title = f"{workload}: {found.objective}"
    draw(pictures, lambda: _figures(found, labels, title), title, quiet=as_json)


def _asked(given: dict[str, Any]) -> dict[str, Any]:
    """Take what is asked out of the options; what remains says how to reach the server."""
    names = ("objectives", "limits", "risk", "quantile", "work_metric", "power", "all_known",
             "candidate_feature", "pareto", "max_results", "level", "support_floor")  # fmt: skip
    return {name: given.pop(name) for name in names}


def _question(
    features: Mapping[str, Any], candidates: tuple[Candidate, ...], asked: dict[str, Any]
) -> Any:  # noqa: ANN401 -- a Recommend
    from foretell.decide import Accounting, Recommend

    return Recommend(
        features,
        objective_of(asked["objectives"], asked["risk"], asked["quantile"]),
        candidates,
        asked["all_known"],
        asked["candidate_feature"],
        tuple(map(limit_of, asked["limits"])),
        asked["pareto"],
        asked["max_results"],
        asked["level"],
        asked["support_floor"],
        Accounting(asked["work_metric"] or "", asked["power"] or ""),
    )


def _candidate(text: str, kinds: Mapping[str, str]) -> Candidate:
    from foretell.decide import Candidate

    special = ("price_per_hour", "available")
    name, features, numbers = named_features("--candidate", text, kinds, special)
    available = numbers.get("available")
    return Candidate(
        name,
        features,
        numbers.get("price_per_hour"),
        None if available is None else int(available),
    )


def _label(one: Ranked | Excluded, candidates: Sequence[Candidate]) -> str:
    own = candidates[one.index].features if one.index < len(candidates) else {}
    return ", ".join([one.name, *(f"{name} {_short(value)}" for name, value in own.items())])


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _print(
    found: Recommendation, labels: Sequence[str], excluded: Sequence[str], *, markdown: bool
) -> None:
    if found.ranked:
        metrics = [f"{e.metric} ({e.unit})" for e in found.ranked[0].estimates]
        objective = f"by {found.objective} ({found.objective_unit})"
        after = ("cost", "energy", "support", "tier")
        header = ["", "candidate", objective, "best", *metrics, *after]
        rows = [_row(one, label) for one, label in zip(found.ranked, labels, strict=True)]
        print_told(header, rows, markdown=markdown)
        click.echo()
    click.echo(f"{VERDICTS[found.verdict]}.")
    if found.regret is not None:
        r = found.regret
        share = "" if r.relative is None else f", {100 * r.relative:.2g} %"
        unit = found.objective_unit
        click.echo(
            f"Another is better with probability {r.probability_another_better:.2f}; hindsight "
            f"would save {output.short(r.expected, unit)}{share} on average."
        )
    if found.infeasible is not None:
        click.echo(f"{found.infeasible.why}.")
    if found.excluded:
        click.echo()
        pairs = zip(found.excluded, excluded, strict=True)
        rows = [[label, one.reason, one.why] for one, label in pairs]
        print_rows(["excluded", "reason", "why"], rows, markdown=markdown)


def _row(one: Ranked, label: str) -> list[str]:
    estimates = [estimate(e.median, e.lower, e.upper)
                 for e in one.estimates]  # fmt: skip
    return [
        f"{one.rank}{'*' if one.on_front else ''}",
        label,
        output.short(one.objective),
        f"{100 * one.probability_best:.0f} %",
        *estimates,
        "-" if one.cost is None else output.short(one.cost),
        "-" if one.energy_j is None else output.short(one.energy_j, "J"),
        f"{one.support:.2f}",
        one.tier,
    ]


def _figures(found: Recommendation, labels: Sequence[str], title: str) -> list[Any]:
    from foretell.errors import InvalidInput, Violation
    from foretell.plots import recommendation_figure

    if not found.ranked:
        message = "there is nothing to draw: no candidate keeps every limit"
        raise InvalidInput([Violation("--plot", "", message)])
    return [recommendation_figure(found, labels, title)]
