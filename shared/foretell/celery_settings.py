"""What the server, which sends tasks, and the trainer, which runs them, must agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery import Celery

INGEST_QUEUE = "ingest"
TRAIN_QUEUE = "train"

INGEST_TASK = "foretell.ingest"
"""Keywords: workload, observations (a `foretell.parcel`, or a list, of the JSON form of
`Observation`)."""
TRAIN_TASK = "foretell.train"
"""Keywords: job_id, workload, spec (what to train on, and how)."""

DECIDE_TASK = "foretell.decide"
"""Keywords: workload, observation_ids, decision (a `foretell.anomalies.Decision` as JSON)."""

PART_TASK = "foretell.part"
"""Keywords: work, number, part (of the work that a job shares, such as one fold)."""

TIME_LIMIT_S = 6 * 3600
"""After so long a task is killed."""
SOFT_TIME_LIMIT_S = TIME_LIMIT_S - 60
# A message that is not acknowledged for so long is delivered again. Above the hard limit, or
# a long fit would be run twice at once.
VISIBILITY_TIMEOUT_S = TIME_LIMIT_S + 600

CONFIG: dict[str, Any] = {
    # Nothing is ever unpickled.
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "accept_content": ["json"],
    # A task is done when it is done, not when somebody took it.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "task_ignore_result": True,
    "task_time_limit": TIME_LIMIT_S,
    "task_soft_time_limit": SOFT_TIME_LIMIT_S,
    "task_routes": {
        INGEST_TASK: {"queue": INGEST_QUEUE},
        DECIDE_TASK: {"queue": INGEST_QUEUE},
        TRAIN_TASK: {"queue": TRAIN_QUEUE},
        PART_TASK: {"queue": TRAIN_QUEUE},
    },
    "task_default_queue": TRAIN_QUEUE,
    "task_create_missing_queues": True,
    "worker_hijack_root_logger": False,
    "broker_connection_retry_on_startup": True,
    "enable_utc": True,
    "timezone": "UTC",
}


def make_app(
    broker_url: str, *, connect_timeout_s: float = 5.0, answer_timeout_s: float | None = None
) -> Celery:
    """Return the Celery application on a broker; importing Celery only now.

    `answer_timeout_s` is for senders: how long the broker may take over one command. Workers,
    which wait for the next message as one command, have none.
    """
    from celery import Celery  # noqa: PLC0415 -- the client must import without Celery

    app = Celery("foretell", broker=broker_url)
    app.conf.update(CONFIG)
    app.conf.broker_connection_timeout = connect_timeout_s
    app.conf.broker_transport_options = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_connect_timeout": connect_timeout_s,
        "socket_timeout": answer_timeout_s,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
    # A sender must hear soon that the broker is gone, to answer UNAVAILABLE.
    app.conf.task_publish_retry = True
    app.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1}
    return app
