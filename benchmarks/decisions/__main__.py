"""Decisions on held-out models: what they are worth, whether limits hold, how fast they come.

    python -m benchmarks.decisions --data DIR [--only vision_models,llm_models] [--folds N]
    python -m benchmarks.decisions --data DIR --only "" --bundle DIR

The second measures times alone, with a bundle of vision_models that there is already.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.accuracy.splits import splits_of
from benchmarks.bundles import Fit, fit_bundle
from benchmarks.datasets import DATA_SETS, Loaded, load
from benchmarks.decisions.cases import ABOUT, cases
from benchmarks.decisions.quality import Choices, Kept, choices, kept, reliability
from benchmarks.decisions.speed import Speed, measure
from foretell.decide import Decider
from foretell_trainer.training import FitSettings, train

SPLIT = "unseen-model"
_EDGES = {"below 0.4": (0.0, 0.4), "0.4 to 0.6": (0.4, 0.6), "0.6 to 0.8": (0.6, 0.8),
          "0.8 and above": (0.8, 1.01)}  # fmt: skip
_TARGETS = {"vision_models": "0.97", "llm_models": "0.93"}


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--only", default=",".join(ABOUT), show_default=True, help="Data sets, or none.")
@click.option("--folds", default=5, show_default=True, help="Folds of held-out models, at most.")
@click.option("--threads", default=2, show_default=True, help="Threads of LightGBM.")
@click.option("--no-speed", is_flag=True, help="Leave out what is about time.")
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True),
    help="A bundle of vision_models to measure times with, instead of training one.",
)
def main(
    data: Path, only: str, folds: int, threads: int, no_speed: bool, bundle: Path | None
) -> None:
    """Print one table for each question."""
    console = Console(width=130)
    with tempfile.TemporaryDirectory(prefix="foretell-") as scratch:
        for name in filter(None, only.split(",")):
            loaded = load(DATA_SETS[name], data, Path(scratch))
            _quality(console, loaded, folds, threads)
        if not no_speed and (bundle or "vision_models" in only):
            served = bundle or Path(scratch) / "bundle"
            if bundle is None:
                _train(load(DATA_SETS["vision_models"], data, Path(scratch)), served, threads)
            _print_speed(console, measure(served, Path(scratch)))


def _quality(console: Console, loaded: Loaded, folds: int, threads: int) -> None:
    about = ABOUT[loaded.about.name]
    metric = loaded.schema.metric_names.index(about.objective)
    found: list[Choices] = []
    limits: list[Kept] = []
    for number, fold in enumerate(splits_of(loaded.about)[SPLIT].folds(loaded)):
        if number == folds:
            break
        console.print(f"{loaded.about.name}: fold {number + 1}", style="dim")
        fit: Fit = fit_bundle(loaded, fold.train, threads, lambda _name, _fraction: None)
        decider = Decider(fit.predictor)
        found.append(choices(decider, cases(loaded, fold.test, about.item, metric), about))
        limited = cases(loaded, fold.test, about.limited_item, metric)
        limits.append(kept(decider, limited, about, number))
    _print_choices(console, loaded, found)
    _print_limits(console, loaded, limits)


def _print_choices(console: Console, loaded: Loaded, found: list[Choices]) -> None:
    name = loaded.about.name
    table = Table(title=f"{name}: hardware chosen for models that training never saw")
    for heading in ("", "items", "true value of the choice / best", "worst twentieth", "to reach"):
        table.add_column(heading, justify="left" if not heading else "right")
    share = np.concatenate([f.share for f in found])
    median = np.concatenate([f.median_share for f in found])
    for label, values in (("expected", share), ("by the median", median)):
        target = _TARGETS[name] if label == "expected" else ""
        low = f"{np.quantile(values, 0.05):.3f}"
        table.add_row(label, str(len(values)), f"{values.mean():.4f}", low, target)
    console.print(table)
    whole = Choices(*(np.concatenate([getattr(f, n) for f in found]) for n in _fields()))
    table = Table(title=f"{name}: probability to be the best, as stated and as it was")
    for heading in ("stated", "items", "mean stated", "was the best"):
        table.add_column(heading, justify="right")
    for row in reliability(whole, _EDGES):
        table.add_row(*row)
    console.print(table)
    said, was = np.nanmean(whole.stated_regret), 1 - whole.share.mean()
    console.print(f"regret: stated {said:.1%}, true {was:.1%}")


def _fields() -> list[str]:
    return list(Choices.__dataclass_fields__)


def _print_limits(console: Console, loaded: Loaded, found: list[Kept]) -> None:
    table = Table(title=f"{loaded.about.name}: limits asked at 0.95")
    for heading in ("requests answered", "broken", "stated", "bounds broken, all candidates",
                    "objective / best within", "refused", "wrongly",
                    "where it binds: requests, stated, broken"):  # fmt: skip
        table.add_column(heading, justify="right")
    count = np.array([k.answered for k in found])

    def mean(name: str) -> str:
        values = np.array([getattr(k, name) for k in found])
        return f"{np.average(values, weights=count):.1%}"

    bound = np.array([k.bound for k in found])
    where = [
        f"{np.nansum(bound * [getattr(k, name) for k in found]) / max(bound.sum(), 1):.1%}"
        for name in ("stated_where_bound", "broken_where_bound")
    ]
    table.add_row(
        str(count.sum()), mean("broken"), mean("stated"), mean("bound_broken"), mean("share"),
        str(sum(k.refused for k in found)), str(sum(k.refused_wrongly for k in found)),
        ", ".join([str(bound.sum()), *where]),
    )  # fmt: skip
    console.print(table)


def _train(loaded: Loaded, out: Path, threads: int) -> None:
    """Train a bundle on all rows and keep it."""
    settings = FitSettings(family=loaded.schema.family, threads=threads)
    train(loaded.schema, loaded.snapshot, loaded.catalogs, out, settings)


def _print_speed(console: Console, speed: Speed) -> None:
    table = Table(title="through gRPC, p50, on whatever else this machine does")
    for heading in ("", "seconds", "against one prediction", "to reach"):
        table.add_column(heading, justify="left" if not heading else "right")
    ratio = speed.recommend_s / speed.predict_s
    client = speed.client_recommend_s / speed.client_predict_s
    table.add_row("predict, the call", f"{speed.predict_s:.6f}", "", "")
    table.add_row("recommend among 50, the call", f"{speed.recommend_s:.6f}", f"{ratio:.2f}", "3")
    table.add_row("predict, by the client", f"{speed.client_predict_s:.6f}", "", "")
    table.add_row(
        "recommend among 50, by the client", f"{speed.client_recommend_s:.6f}", f"{client:.2f}", "3"
    )
    table.add_row(f"matrix of {speed.cells} cells", f"{speed.matrix_s:.2f}", "", "5 s")
    console.print(table)


if __name__ == "__main__":
    main()
