"""A worker process: one for each queue, so that a fit never blocks ingest.

``python -m foretell_trainer.worker QUEUE [NAME [PARENT]]`` runs one, with the settings of the
environment; `foretell_trainer.processes` runs all of them.
"""

# ruff: noqa: ANN401 -- Celery ships no types

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import warnings
from contextlib import suppress
from typing import Any

import redis
from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_process_init

from foretell import logs
from foretell.celery_settings import INGEST_QUEUE, TRAIN_QUEUE, make_app
from foretell.lifeline import tie_to
from foretell.settings import Settings, load_settings
from foretell_trainer import transport
from foretell_trainer.attendance import Attendance, new_name
from foretell_trainer.consumer import AttendanceStep
from foretell_trainer.fits import Fit, fit_with_engine
from foretell_trainer.giving_way import give_way
from foretell_trainer.tasks import Resources, register_tasks

# A process is renewed before what libraries leak adds up.
TASKS_PER_PROCESS = {INGEST_QUEUE: 2000, TRAIN_QUEUE: 20}


def make_worker_app(settings: Settings, queue: str, name: str, parent: int, fit: Fit) -> Celery:
    """Return the Celery application of a worker of one queue, with all tasks."""
    app = make_app(settings.broker_url)
    app.conf.update(
        broker_transport=transport.NAME,
        broker_transport_options={
            **app.conf.broker_transport_options,
            **transport.transport_options(name),
        },
        # A new worker waits for a broker that is away. One whose broker goes away finishes its
        # task and ends: whoever runs it starts a new one. Celery's own way, to connect again
        # in place, leaves a worker now and then that takes a message and never begins it.
        broker_connection_max_retries=None,
        broker_connection_retry=False,
        worker_consumer="foretell_trainer.consumer:Consumer",
        worker_max_tasks_per_child=TASKS_PER_PROCESS[queue],
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
        foretell_worker=name,
        foretell_parent=parent,
        foretell_queue=queue,
        foretell_data=settings.data,
    )
    app.steps["consumer"].add(AttendanceStep)
    resources = Resources(settings, fit)
    register_tasks(app, resources)
    if queue == INGEST_QUEUE:
        # From the start: a bundle that takes over is corrected even if nothing comes in.
        worker_process_init.connect(lambda **_signal: resources.following, weak=False)
        worker_process_init.connect(lambda **_signal: resources.watching, weak=False)
    else:
        worker_process_init.connect(lambda **_signal: give_way(settings.fit_niceness), weak=False)
    return app


def run_worker(
    settings: Settings, queue: str, name: str = "", parent: str = "", *, fit: Fit = fit_with_engine
) -> int:
    """Run the worker of one queue in this process until it is stopped; return its exit code.

    ``name`` tells it from all workers that ever were; without one it gives itself one. It stops
    when the process ``parent`` is not its parent any more. Whoever starts it says which that is:
    it may be gone before this process could find out.
    """
    logs.configure(settings.log_level, settings.log_format)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        # They print each message as it comes and goes, with all its observations.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # Celery warns of root for the sake of pickles; there are none here.
    warnings.simplefilter("ignore", SecurityWarning)
    app = make_worker_app(
        settings, queue, name or new_name(queue), int(parent or os.getppid()), fit
    )
    # Connected weakly otherwise, and gone before the first fork.
    worker_process_init.connect(_die_with_parent, weak=False)
    worker_process_init.connect(_collect_rarely, weak=False)
    worker = app.Worker(
        queues=[queue],
        concurrency=1,
        pool="prefork",
        hostname=app.conf.foretell_worker,
        loglevel=settings.log_level.upper(),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    with suppress(redis.RedisError), redis.Redis.from_url(settings.broker_url) as client:
        Attendance(client, app.conf.foretell_worker, queue).leave()
    return int(worker.exitcode or 0)


def _die_with_parent(**_signal: Any) -> None:
    """End with the parent, even when that is killed: it alone can acknowledge what is done."""
    tie_to(os.getppid(), signal.SIGKILL)


def _collect_rarely(**_signal: Any) -> None:
    """Spare the garbage collector: a message is ten thousands of objects, and no cycles."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)


if __name__ == "__main__":
    sys.exit(run_worker(load_settings(), *sys.argv[1:]))
