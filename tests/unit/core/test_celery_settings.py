"""Celery: what sender and worker agree on."""

from __future__ import annotations

from foretell.celery_settings import (
    INGEST_TASK,
    TIME_LIMIT_S,
    TRAIN_TASK,
    VISIBILITY_TIMEOUT_S,
    make_app,
)


def test_nothing_is_pickled() -> None:
    """Tasks are JSON, and nothing else is accepted."""
    conf = make_app("redis://127.0.0.1:1/0").conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == conf.result_serializer == conf.event_serializer == "json"


def test_a_task_is_not_delivered_twice_while_it_may_run() -> None:
    """The visibility timeout is above the hard time limit."""
    assert VISIBILITY_TIMEOUT_S > TIME_LIMIT_S
    conf = make_app("redis://127.0.0.1:1/0").conf
    assert conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_S


def test_a_task_is_done_when_it_is_done() -> None:
    """Acknowledgement comes after the work, one task at a time, and a dead worker's is redone."""
    conf = make_app("redis://127.0.0.1:1/0").conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1


def test_tasks_go_to_their_queues() -> None:
    """Ingest and training do not wait for each other."""
    routes = make_app("redis://127.0.0.1:1/0").conf.task_routes
    assert routes[INGEST_TASK]["queue"] == "ingest"
    assert routes[TRAIN_TASK]["queue"] == "train"
