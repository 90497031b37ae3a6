"""The demo's ten steps, each of them real."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foretell.cli.measure import describe
from foretell.cli.output import numbers_text
from foretell.client import Client, Job
from foretell.demo.load import BackgroundLoad, Served
from foretell.demo.outcomes import WORKLOAD, HeldOut, observation_of, pace_change, share_inside
from foretell.demo.result import DemoResult
from foretell.demo.screen import Screen, Step
from foretell.demo.stored import StoredRows
from foretell.errors import ForetellError, InvalidInput, Unavailable
from foretell.measure import (
    Configuration,
    Measurement,
    Measurements,
    held_out_plan,
    measure_wasm,
    run_plan,
)
from foretell.settings import Settings
from foretell.stack import Stack, StateFolder

NEEDED_BYTES = 300 * 1024 * 1024
STORED_WITHIN_S = 60.0
SWAPPED_WITHIN_S = 60.0
LONGEST_RUN_S = 10.0
FEWEST_RUNS = 20
ANSWERS_AROUND_SWAP = 200
"""How many answers at least the old and the new version give while the client keeps asking."""


@dataclass(frozen=True)
class DemoSettings:
    """What a user may choose."""

    budget_s: float = 30.0
    """Seconds to measure for."""
    longest_s: float = 1.0
    """Seconds that the longest runs take, about."""
    held_out: int = 40
    """How many runs to predict, and then to run."""
    tasks: tuple[str, ...] = ()
    """Names of the tasks to run; all of them when there are none."""
    keep: Path | None = None
    """Where to keep all state; None keeps nothing."""
    seed: int = 0


def run_demo(settings: DemoSettings, screen: Screen) -> DemoResult:
    """Run the demo; whatever ends it, the processes are stopped and temporary files removed."""
    with ExitStack() as resources:
        root = resources.enter_context(_state_folder(settings.keep))
        story = _Story(settings, screen, StateFolder(root))
        measured = story.measure()
        stack = resources.enter_context(story.start())
        client = resources.enter_context(Client(stack.address))
        return story.with_server(stack, client, measured)


@dataclass
class _Story:
    settings: DemoSettings
    screen: Screen
    folder: StateFolder
    _stored: StoredRows = field(init=False)

    def __post_init__(self) -> None:
        self._stored = StoredRows(self.folder.data, WORKLOAD)

    def measure(self) -> Measurements:
        """Step 1: real runs of real tasks on this machine."""
        with self.screen.step("measure", "running tasks, each in a fresh process") as step:
            measured = self._measure(step)
            if not self._is_enough(measured):
                why = f"{len(measured.runs)} runs are too few to learn from"
                raise Unavailable("a forecast", f"{why}; give it more time (--budget)")
            measured.write(self.folder.root / "measured")
            step.say(
                f"{len(measured.runs)} real runs of {len(measured.functions)} WebAssembly tasks "
                f"under {len(measured.nodes)} engine settings ('nodes'), each in a fresh process"
            )
        return measured

    def _measure(self, step: Step) -> Measurements:
        def tell(done: int, expected: int, last: Measurement) -> None:
            step.show(done, expected, describe(last))

        return measure_wasm(
            self.settings.budget_s,
            tasks=self.settings.tasks or None,
            seed=self.settings.seed,
            timeout_s=LONGEST_RUN_S,
            longest_s=self.settings.longest_s,
            fewest_runs=FEWEST_RUNS,
            on_progress=tell,
        )

    def _is_enough(self, measured: Measurements) -> bool:
        """Return whether there is enough to train on, and something to hold out."""
        try:
            held_out_plan(measured, self.settings.held_out, seed=self.settings.seed)
        except InvalidInput:
            return False
        return sum(run.duration_s is not None for run in measured.runs) >= FEWEST_RUNS

    @contextmanager
    def start(self) -> Iterator[Stack]:
        """Step 2: the three processes."""
        # Not load_settings: what the user has set for services of their own is not meant here.
        stack = Stack(self.folder, Settings.model_construct(port=0))
        with self.screen.step("start", "starting broker, worker and server") as step:
            with ExitStack() as on_failure:
                on_failure.callback(stack.stop)
                stack.start()
                on_failure.pop_all()
            pids = ", ".join(f"{name} {pid}" for name, pid in stack.pids().items())
            step.say(f"server on {stack.address} (process ids: {pids})")
        try:
            yield stack
        finally:
            stack.stop()

    def with_server(self, stack: Stack, client: Client, measured: Measurements) -> DemoResult:
        """Steps 3 to 10."""
        self.report(client, measured)
        first = self.train(client)
        self.serve(client, first)
        plan, predictions = self.predict(client, measured)
        held_out = self.run_held_out(plan, predictions)
        self.compare(held_out)
        self.report_back(client, held_out)
        second, served = self.swap(stack, client, held_out, first)
        result = DemoResult(
            runs_measured=len(measured.runs),
            repeat_noise=measured.repeat_noise(),
            pace_change=pace_change(measured.runs, [run.measurement for run in held_out]),
            first_version=first,
            second_version=second,
            held_out=held_out,
            served=served,
            seconds=self.screen.seconds,
            kept=self.settings.keep,
        )
        if self.settings.keep is not None:
            text = json.dumps(result.as_json(), indent=1, default=str)
            (self.folder.root / "demo.json").write_text(text, encoding="utf-8")
        return result

    def report(self, client: Client, measured: Measurements) -> None:
        """Step 3: the measurements over gRPC; the worker stores them in DuckDB."""
        with self.screen.step("report", "reporting over gRPC") as step:
            facts = self._stored.add_catalogs(self.folder.root / "measured")
            stored = self._report(client, [observation_of(run) for run in measured.runs], step)
            step.say(f"{stored} observations reported over gRPC and stored in DuckDB; {facts}")

    def train(self, client: Client) -> str:
        """Step 4: a training run in the worker, asked for and watched over gRPC."""
        with self.screen.step("train", "training in the worker") as step:
            job, stages = _retrain(client, step)
            step.say("a job in the worker, asked for and watched over gRPC:")
            step.say(" → ".join(stages))
            rows = client.bundle(WORKLOAD, job.bundle_version).training_rows
            step.say(f"published {job.bundle_version}, trained on {rows} rows, exported to ONNX")
        return job.bundle_version

    def serve(self, client: Client, version: str) -> None:
        """Step 5: the server has taken the bundle over by itself."""
        with self.screen.step("serve", "waiting for the server to load it") as step:
            _wait_serving(client, version)
            health = client.health(WORKLOAD)
            step.say(f"the running server loaded {version}; health of {WORKLOAD!r}: {health}")

    def predict(
        self, client: Client, measured: Measurements
    ) -> tuple[list[Configuration], list[Any]]:
        """Step 6: forecasts of work that was never measured, made before it runs."""
        with self.screen.step("predict", "predicting") as step:
            plan = held_out_plan(measured, self.settings.held_out, seed=self.settings.seed)
            items = [configuration.features() for configuration in plan]
            predictions = client.predict_many(WORKLOAD, items, interval_level=0.8)
            found = [predictions[i] for i in range(len(plan))]
            beyond = sum(configuration.beyond for configuration in plan)
            step.say(
                f"{len(plan)} runs with arguments that were never measured, {beyond} of them "
                "beyond all that were"
            )
        return plan, found

    def run_held_out(
        self, plan: Sequence[Configuration], predictions: Sequence[Any]
    ) -> list[HeldOut]:
        """Step 7: that very work, really run."""
        with self.screen.step("run", "really running them") as step:

            def tell(done: int, expected: int, last: Measurement) -> None:
                step.show(done, expected, describe(last))

            runs = run_plan(plan, timeout_s=LONGEST_RUN_S, on_progress=tell)
            step.say(f"the same {len(runs)} runs, really run")
        return [
            HeldOut(configuration, prediction, run)
            for configuration, prediction, run in zip(plan, predictions, runs, strict=True)
        ]

    def compare(self, held_out: Sequence[HeldOut]) -> None:
        """Step 8: predicted and measured, side by side."""
        with self.screen.step("compare", "comparing") as step:
            inside, known = share_inside(held_out, "duration_s")
            step.say(f"{inside} of {known} durations inside the 80 % interval; the table is below")

    def report_back(self, client: Client, held_out: Sequence[HeldOut]) -> None:
        """Step 9: the outcomes, with the predictions that they are outcomes of."""
        with self.screen.step("outcomes", "reporting the outcomes back") as step:
            stored = self._report(client, [run.observation() for run in held_out], step)
            step.say(f"{stored} outcomes reported back, each with the id of its prediction")

    def swap(
        self, stack: Stack, client: Client, held_out: Sequence[HeldOut], first: str
    ) -> tuple[str, Served]:
        """Step 10: a new version takes over while a client keeps asking."""
        items = [run.configuration.features() for run in held_out]
        with self.screen.step("retrain", "training anew under load") as step:
            with BackgroundLoad(stack.address, WORKLOAD, items) as load:
                load.wait_for(first, ANSWERS_AROUND_SWAP, SWAPPED_WITHIN_S)
                job, _ = _retrain(client, step)
                load.wait_for(job.bundle_version, ANSWERS_AROUND_SWAP, SWAPPED_WITHIN_S)
            served = load.served()
            step.say(
                f"published {job.bundle_version}; it took over while a client kept asking: "
                f"{served.answered} requests served, {served.failed} failed"
            )
        return job.bundle_version, served

    def _report(self, client: Client, observations: Sequence[dict[str, Any]], step: Step) -> int:
        """Report observations, wait until the worker has stored them, and return how many."""
        before = self._stored.count()
        acknowledged = client.report(observations)
        if acknowledged.rejected:
            first = acknowledged.rejected[0]
            raise ForetellError(f"{first.observation_id} was rejected: {first.rejection}")
        for now in self._stored.until(before + len(observations), STORED_WITHIN_S):
            step.show(now - before, len(observations))
        return len(observations)


def _retrain(client: Client, step: Step) -> tuple[Job, list[str]]:
    stages: list[str] = []

    def tell(job: Job) -> None:
        # The stages of each metric have the metric's name at their end.
        stage = job.stage.partition(" for ")[0].partition(" of ")[0].removesuffix(" duration_s")
        stage = stage.removesuffix(" memory_kb")
        if stage and stage not in (*stages, "written", "done"):
            stages.append(stage)
        note = f"{job.stage or job.state.lower()} {numbers_text(job.numbers)}"
        step.show(job.fraction_done, 1.0, note)

    return client.retrain(WORKLOAD, wait=True, on_progress=tell), stages


def _wait_serving(client: Client, version: str) -> None:
    for _ in range(int(SWAPPED_WITHIN_S / 0.05)):
        if client.bundle(WORKLOAD, version).serving:
            return
        time.sleep(0.05)
    raise Unavailable(f"bundle {version}", f"not loaded within {SWAPPED_WITHIN_S:g} s")


@contextmanager
def _state_folder(keep: Path | None) -> Iterator[Path]:
    """Yield a folder with enough room: one to keep, or one that is removed."""
    place = Path(tempfile.gettempdir())
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        place = keep
    free = shutil.disk_usage(place).free
    if free < NEEDED_BYTES:
        why = f"{free // 2**20} MB are free and the demo needs {NEEDED_BYTES // 2**20} MB"
        raise Unavailable(f"the folder {place}", f"{why}; set TMPDIR, or --keep another one")
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="foretell-demo-", ignore_cleanup_errors=True) as root:
        yield Path(root)
