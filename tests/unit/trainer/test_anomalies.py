"""Observations that cannot be: flagged when they come in, and kept out of training."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from foretell.anomalies import Decision
from foretell.schema import Feature, Link, Metric, Schema
from foretell.schema_file import load_schema
from foretell_trainer.anomalies.identities import Identities
from foretell_trainer.anomalies.ledger import decide, flag, list_anomalies
from foretell_trainer.ingest import ingest_file, ingest_messages
from foretell_trainer.snapshot import snapshot_from_files, take_snapshot
from foretell_trainer.store import Store

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def speed() -> Schema:
    """A workload whose rate is declared to be 2 · tokens · batch / latency."""
    return Schema(
        workload="speed",
        features=(
            Feature(name="model", kind="category", required=True),
            Feature(name="tokens", kind="number", scale="log"),
            Feature(name="batch", kind="number", scale="log"),
        ),
        metrics=(Metric(name="rate"), Metric(name="latency_s")),
        groups=(("model",),),
        links=(
            Link(metric="latency_s", constant=2, factors={"tokens": 1, "batch": 1, "rate": -1}),
        ),
    )


def run(name: str, rate: float, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a run of 128 tokens in batches of 4 that took 2 s: its rate is 512 per second."""
    good = {
        "id": name,
        "workload": "speed",
        "time": NOW.isoformat(),
        "features": {"model": "m", "tokens": 128, "batch": 4},
        "metrics": {"rate": rate, "latency_s": 2.0},
    }
    return {**good, **changes}


@pytest.mark.parametrize(
    ("metrics", "features", "breaks"),
    [
        ({"rate": 512.0, "latency_s": 2.0}, {"tokens": 128, "batch": 4}, False),
        ({"rate": 540.0, "latency_s": 2.0}, {"tokens": 128, "batch": 4}, False),
        ({"rate": 128.0, "latency_s": 2.0}, {"tokens": 128, "batch": 4}, True),
        ({"rate": 600.0, "latency_s": 2.0}, {"tokens": 128, "batch": 4}, True),
        ({"rate": 128.0}, {"tokens": 128, "batch": 4}, False),
        ({"rate": 128.0, "latency_s": 2.0}, {"batch": 4}, False),
        ({"rate": 128.0, "latency_s": 2.0}, {"tokens": "many", "batch": 4}, False),
    ],
)
def test_an_identity_holds_or_is_said_to_be_broken(
    speed: Schema, metrics: dict[str, float], features: dict[str, Any], breaks: bool
) -> None:
    """Off by more than a tenth is a complaint; what lacks a number of the identity is none."""
    why = Identities(speed).complaint(features, metrics)
    assert bool(why) is breaks
    if breaks:
        assert "latency_s is 2" in why
        assert "2 · tokens · batch · rate^-1" in why


def test_what_cannot_be_is_not_trained_on_until_it_is_confirmed(
    store: Store, speed: Schema, tmp_path: Path
) -> None:
    """A flagged observation is stored and listed; a snapshot has it once it is confirmed."""
    report = ingest_messages(
        store, speed, [run("good", 512.0), run("real", 128.0), run("wrong", 32.0)]
    )
    assert (report.stored, report.flagged) == (3, 2)
    again = ingest_messages(store, speed, [run("wrong", 32.0)])
    assert (again.duplicates, again.flagged) == (1, 0)
    found = list_anomalies(store, "speed", "open")
    assert [anomaly.observation_id for anomaly in found] == ["wrong", "real"]
    assert found[0].time == NOW
    assert found[0].metrics == {"rate": 32.0, "latency_s": 2.0}
    assert found[0].features == {"model": "m", "tokens": 128, "batch": 4}

    def trained_on() -> list[str]:
        path = take_snapshot(store, speed, tmp_path / "snapshots").path
        ids: list[str] = pq.read_table(path)["observation_id"].to_pylist()
        return ids

    assert trained_on() == ["good"]
    confirmed = Decision(state="confirmed", who="me", why="two streams at once")
    assert decide(store, "speed", ["real", "good", "unheard of"], confirmed) == 1
    discarded = Decision(state="discarded", who="me", why="the batch was not counted")
    assert decide(store, "speed", ["wrong"], discarded) == 1
    assert trained_on() == ["good", "real"]
    assert list_anomalies(store, "speed", "open") == []
    (decided,) = list_anomalies(store, "speed", "confirmed")
    assert (decided.decided_by, decided.decision) == ("me", "two streams at once")
    assert decided.decided_at is not None


def test_a_file_with_broken_rows_is_trained_on_without_them(speed: Schema, tmp_path: Path) -> None:
    """Training from files goes by the same rule."""
    lines = ["model,tokens,batch,rate,latency_s"]
    lines += [f"m,128,{batch},{128 * batch},2" for batch in (1, 2, 4, 8)]
    lines += [f"m,128,{batch},128,2" for batch in (2, 4, 8)]
    file = tmp_path / "runs.csv"
    file.write_text("\n".join(lines) + "\n")
    snapshot, report = snapshot_from_files(speed, [file], tmp_path / "snapshots")
    assert (report.stored, report.flagged, snapshot.rows) == (7, 3, 4)


def test_published_rows_that_break_their_identity_are_flagged(tmp_path: Path) -> None:
    """Of four rows that LLM-Inference-Bench reports, the three whose rate leaves out the batch are
    kept out, by the schema that the benchmarks use."""
    llm = load_schema(ROOT / "benchmarks" / "schemas" / "llm_models.yaml")
    lines = ["model,hardware,framework,devices,tokens,batch_size,latency_s,throughput_tok_s"]
    run = "meta-llama/Llama-2-7b-hf,Nvidia A100 GPU,llama.cpp,1,128"
    lines += [f"{run},1,4.344691,58.922482", f"{run},16,2.330946,109.826672"]
    lines += [f"{run},32,2.267283,112.910457", f"{run},64,2.236775,114.450477"]
    file = tmp_path / "runs.csv"
    file.write_text("\n".join(lines) + "\n")
    snapshot, report = snapshot_from_files(llm, [file], tmp_path / "snapshots")
    assert (report.stored, report.flagged, snapshot.rows) == (4, 3, 1)


def test_observations_are_flagged_later_as_well(
    store: Store, speed: Schema, tmp_path: Path
) -> None:
    """What a forecast finds impossible is flagged by its number; twice is once."""
    file = tmp_path / "runs.csv"
    file.write_text("id,model,tokens,batch,rate,latency_s\na,m,128,4,512,2\nb,m,128,4,512,2\n")
    ingest_file(store, speed, file)
    assert flag(store, {2: "1000 times what was forecast"}) == 1
    assert flag(store, {2: "again"}) == 0
    (found,) = list_anomalies(store, "speed")
    assert (found.observation_id, found.reason) == ("b", "1000 times what was forecast")
