"""Workloads, bundles and training jobs through a real channel and a real broker."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import grpc
import pytest
import redis

from foretell.celery_settings import TRAIN_QUEUE, TRAIN_TASK
from foretell.jobs import JobStore
from foretell.v1 import model_pb2
from tests.bundles import toy_schema
from tests.integration.server.conftest import WAIT_S, RunningServer, StartServer


def test_workloads_are_listed_by_name_and_in_pages(server: RunningServer) -> None:
    """ListWorkloads has the built-in workloads and those with a bundle, page by page."""
    server.publish(schema=toy_schema("another"))
    call = server.stubs.model.ListWorkloads
    whole = call(model_pb2.ListWorkloadsRequest())
    names = [w.name for w in whole.workloads]
    assert names == ["another", "inference", "serverless", "toy"]
    assert whole.workloads[3].metrics == ["seconds", "kb"]
    assert whole.workloads[3].bundle_version == server.predict().provenance.bundle_version
    assert not whole.workloads[2].bundle_version
    paged, token = [], ""
    for _ in range(2):
        page = call(model_pb2.ListWorkloadsRequest(page_size=2, page_token=token))
        paged += [w.name for w in page.workloads]
        token = page.next_page_token
    assert paged == names
    assert not token


@pytest.mark.parametrize("asked", [{"page_size": -1}, {"page_token": "x"}])
def test_bad_page_is_refused(shared_server: RunningServer, asked: dict[str, Any]) -> None:
    """A negative page size or a token that no page carried is INVALID_ARGUMENT."""
    with pytest.raises(grpc.RpcError) as caught:
        shared_server.stubs.model.ListWorkloads(model_pb2.ListWorkloadsRequest(**asked))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_schema_has_ranges_and_known_values(shared_server: RunningServer) -> None:
    """GetSchema describes each feature, with the values that the live bundle knows."""
    schema = shared_server.stubs.model.GetSchema(model_pb2.GetSchemaRequest(workload="toy"))
    features = {f.name: f for f in schema.features}
    assert features["size"].kind == model_pb2.FEATURE_KIND_NUMBER
    assert features["size"].scale == model_pb2.SCALE_LOG
    assert features["size"].HasField("minimum")
    assert features["size"].maximum == 1e9
    assert features["kind"].required
    assert list(features["kind"].known_values) == ["big", "small"]
    assert not features["hot"].HasField("maximum")
    assert [m.name for m in schema.metrics] == ["seconds", "kb"]
    assert [list(g.features) for g in schema.groups] == [["kind"]]
    assert schema.fingerprint == toy_schema().fingerprint


def test_builtin_schema_without_a_bundle(shared_server: RunningServer) -> None:
    """A workload that was never trained has a schema and no bundles."""
    schema = shared_server.stubs.model.GetSchema(model_pb2.GetSchemaRequest(workload="inference"))
    assert "hardware" in {c.name for c in schema.catalogs}
    assert schema.links
    request = model_pb2.ListBundlesRequest(workload="inference")
    assert not shared_server.stubs.model.ListBundles(request).bundles


def test_bundles_are_listed_newest_first_with_their_aliases(server: RunningServer) -> None:
    """ListBundles and GetBundle show lineage, report card, aliases and which one serves."""
    old = server.predict().provenance.bundle_version
    new = server.publish(shift=1.0)
    listed = server.stubs.model.ListBundles(model_pb2.ListBundlesRequest(workload="toy")).bundles
    assert [(b.version, list(b.aliases), b.serving) for b in listed] == [
        (new, ["current"], True),
        (old, ["previous"], False),
    ]
    get = server.stubs.model.GetBundle
    bundle = get(model_pb2.GetBundleRequest(workload="toy", version="previous"))
    assert bundle.version == old
    assert bundle.training_row_count == 200
    assert list(bundle.lineage.sources) == ["test"]
    assert bundle.evaluation["random"]["seconds"]["mape"] == 0.1
    assert bundle.create_time.ToJsonString().startswith("2030-01-01")
    assert bundle.family == "toy"


@pytest.mark.parametrize(
    ("workload", "version"),
    [("toy", "candidate"), ("toy", "../../etc"), ("nothing", "current"), ("../toy", "current")],
)
def test_bundle_that_is_not_there(
    shared_server: RunningServer, workload: str, version: str
) -> None:
    """A version, alias or workload that does not exist is NOT_FOUND."""
    request = model_pb2.GetBundleRequest(workload=workload, version=version)
    with pytest.raises(grpc.RpcError) as caught:
        shared_server.stubs.model.GetBundle(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.fixture
def training(start_server: StartServer, broker: str) -> RunningServer:
    """A server with a broker and a tiny bundle; no trainer takes its jobs."""
    server = start_server(broker_url=broker)
    server.publish()
    return server


def tasks(broker: str) -> list[dict[str, Any]]:
    """Return the arguments of the training tasks that wait, oldest first."""
    with redis.Redis.from_url(broker) as client:
        raw = client.lrange(TRAIN_QUEUE, 0, -1)
    messages = [json.loads(text) for text in reversed(raw)]
    assert {message["headers"]["task"] for message in messages} <= {TRAIN_TASK}
    return [json.loads(base64.b64decode(message["body"]))[1] for message in messages]


def retrain(server: RunningServer, **asked: Any) -> model_pb2.Job:  # noqa: ANN401
    """Ask for a training run of the toys."""
    request = model_pb2.RetrainRequest(**{"workload": "toy", **asked})
    job: model_pb2.Job = server.stubs.model.Retrain(request, timeout=WAIT_S)
    return job


def test_retrain_queues_one_task(training: RunningServer, broker: str) -> None:
    """Retrain returns a queued job at once, and its task waits for the trainer."""
    job = retrain(training, request_id="r1", include_simulated=True)
    assert job.state == model_pb2.JOB_STATE_QUEUED
    assert job.workload == "toy"
    assert job.request_id == "r1"
    assert job.HasField("create_time")
    assert not job.HasField("start_time")
    assert tasks(broker) == [{"job_id": job.id, "workload": "toy", "spec": {"simulated": True}}]


def test_same_request_id_is_the_same_job(training: RunningServer) -> None:
    """Two Retrain calls with one request id are one job; with another id, another."""
    first, again = retrain(training, request_id="r1"), retrain(training, request_id="r1")
    assert first.id == again.id
    assert retrain(training, request_id="r2").id != first.id
    listed = training.stubs.model.ListJobs(model_pb2.ListJobsRequest(workload="toy")).jobs
    assert len(listed) == 2


def test_retrain_says_how(training: RunningServer, broker: str) -> None:
    """Mode, window, family, search and split of a request are in the task; a request that joins
    gets the job that waits, and makes none."""
    asked = {
        "mode": model_pb2.RETRAIN_MODE_WINDOWED,
        "window_rows": 500,
        "family": "ridge",
        "search": "trials=3",
        "split": "grouped:kind",
    }
    job = retrain(training, **asked)
    (task,) = tasks(broker)
    assert task["spec"] == {
        "simulated": False,
        "mode": "windowed",
        "window_rows": 500,
        "fit": {"family": "ridge"},
        "search": "trials=3",
        "split": "grouped:kind",
    }
    assert retrain(training, request_id="another", join=True).id == job.id
    assert len(tasks(broker)) == 1
    assert retrain(training, request_id="and another").id != job.id
    assert len(tasks(broker)) == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"mode": 9},
        {"window_rows": 5},
        {"family": "../x"},
        {"search": "for ever"},
        {"split": "by hand"},
        {"split": "bogus"},
        {"split": "grouped:nothing"},
        {"split": "grouped:" + 2000 * "x"},
        {"search": "trials=3", "mode": model_pb2.RETRAIN_MODE_UPDATE},
        {"split": "kfold", "mode": model_pb2.RETRAIN_MODE_UPDATE},
    ],
)
def test_retrain_in_no_way_is_refused(shared_server: RunningServer, asked: dict[str, Any]) -> None:
    """What no trainer could make sense of is INVALID_ARGUMENT, by the field's name."""
    with pytest.raises(grpc.RpcError) as caught:
        retrain(shared_server, **asked)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = str(caught.value.details())
    assert next(iter(asked)) in details
    assert len(asked) == 1 or "mode" in details


def test_retrain_of_nothing_is_refused(training: RunningServer, broker: str) -> None:
    """Retrain of an unknown workload is NOT_FOUND and queues nothing."""
    with pytest.raises(grpc.RpcError) as caught:
        retrain(training, workload="nothing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError) as caught:
        retrain(training, request_id="x" * 129)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert tasks(broker) == []


def test_watch_follows_a_job_to_its_end(training: RunningServer, broker: str) -> None:
    """WatchJob starts with the job as it stands, tells each change, and ends with the job."""
    job = retrain(training)
    store = JobStore(broker)
    watch = training.stubs.model.WatchJob(model_pb2.WatchJobRequest(job_id=job.id), timeout=WAIT_S)
    assert next(watch).state == model_pb2.JOB_STATE_QUEUED
    store.update(job.id, state="RUNNING", stage="fit", fraction=0.5, numbers={"rows": 200.0})
    running = next(watch)
    assert running.state == model_pb2.JOB_STATE_RUNNING
    assert (running.stage, running.fraction_done, running.numbers["rows"]) == ("fit", 0.5, 200)
    store.update(job.id, state="FAILED", error="no rows", error_status="FAILED_PRECONDITION")
    failed = next(watch)
    assert failed.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert failed.error.message == "no rows"
    assert failed.HasField("end_time")
    assert list(watch) == []


def test_watch_ends_when_the_server_drains(training: RunningServer) -> None:
    """A watcher of a job that takes long is sent elsewhere when the server shuts down."""
    job = retrain(training)
    watch = training.stubs.model.WatchJob(model_pb2.WatchJobRequest(job_id=job.id), timeout=WAIT_S)
    next(watch)
    stopping = threading.Thread(target=training.stop)
    stopping.start()
    with pytest.raises(grpc.RpcError) as caught:
        next(watch)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    stopping.join(WAIT_S)
    assert not stopping.is_alive()


def test_cancel_ends_a_queued_job(training: RunningServer) -> None:
    """CancelJob ends a job that still waits; cancelling it again changes nothing."""
    job = retrain(training)
    cancel = training.stubs.model.CancelJob
    assert cancel(model_pb2.CancelJobRequest(job_id=job.id)).state == model_pb2.JOB_STATE_CANCELLED
    again = cancel(model_pb2.CancelJobRequest(job_id=job.id))
    assert again.state == model_pb2.JOB_STATE_CANCELLED
    get = training.stubs.model.GetJob(model_pb2.GetJobRequest(job_id=job.id))
    assert get.HasField("end_time")


def test_unknown_job_is_not_found(training: RunningServer) -> None:
    """GetJob, WatchJob and CancelJob of a job that does not exist are NOT_FOUND."""
    model = training.stubs.model
    calls: list[Callable[[], object]] = [
        lambda: model.GetJob(model_pb2.GetJobRequest(job_id="x")),
        lambda: next(model.WatchJob(model_pb2.WatchJobRequest(job_id="x"))),
        lambda: model.CancelJob(model_pb2.CancelJobRequest(job_id="x")),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_jobs_without_a_broker_are_unavailable(shared_server: RunningServer) -> None:
    """With the broker down Retrain and ListJobs are UNAVAILABLE; reading the registry is not."""
    for method, request in (
        ("Retrain", model_pb2.RetrainRequest(workload="toy")),
        ("ListJobs", model_pb2.ListJobsRequest()),
    ):
        call = shared_server.channel.unary_unary(
            f"/foretell.v1.ModelService/{method}",
            request_serializer=type(request).SerializeToString,
        )
        with pytest.raises(grpc.RpcError) as caught:
            call(request, timeout=WAIT_S)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert shared_server.stubs.model.ListWorkloads(model_pb2.ListWorkloadsRequest()).workloads
