"""`foretell prune`: bundles and snapshots that are no longer needed."""

from __future__ import annotations

import click

from foretell.cli import output
from foretell.cli.options import json_option, login
from foretell.cli.state import Places, state_options
from foretell.settings import load_settings

USUALLY_KEPT = 10


@click.command(short_help="Remove bundles and snapshots that are no longer needed.")
@click.argument("workloads", nargs=-1)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    help=f"So many of the newest bundles.  [default: bundles_kept, else {USUALLY_KEPT}]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--reason", default="foretell prune", show_default=True, help="For the audit.")
@state_options
@json_option
def prune(
    workloads: tuple[str, ...],
    keep: int | None,
    dry_run: bool,
    reason: str,
    places: Places,
    as_json: bool,
) -> None:
    """Remove old bundles, and snapshots that no bundle was fitted on any more.

    Never removed: what an alias stands for, the newest bundles, what was current within
    answers_kept_s (its answers can be replayed), and snapshots of less than a day.

    \b
    Example:
      foretell prune serverless --keep 5 --dry-run
    """
    from foretell_trainer.pruning import Policy, plan_pruning
    from foretell_trainer.pruning import prune as remove

    settings = load_settings()
    kept = keep or settings.bundles_kept or USUALLY_KEPT
    policy = Policy(kept, settings.answers_kept_s)
    snapshots = places.data / "snapshots"
    found = plan_pruning(places.registry, snapshots, policy, workloads)
    if not dry_run:
        found = remove(places.registry, found, login() or "foretell prune", reason)
    if as_json:
        output.print_json({"removed": not dry_run, **vars(found)})
        return
    for workload, version in found.bundles:
        click.echo(f"{workload}: bundle {version}")
    for path in found.snapshots:
        click.echo(f"snapshot {path.name}")
    what = f"{len(found.bundles)} bundles and {len(found.snapshots)} snapshots"
    click.echo(f"{what} {'would be removed' if dry_run else 'removed'}")
