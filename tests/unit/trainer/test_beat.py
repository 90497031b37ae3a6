"""Celery beat in a thread: what is due is done, whatever it raises, until it is stopped."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from foretell_trainer.beat import Beat, Entry, crontab_of, every


def test_what_is_due_is_done_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that raises is done again in its time, and does not keep others from theirs; after
    the stop none is done, and no file and no thread is left."""
    monkeypatch.chdir(tmp_path)
    done = {"failing": threading.Semaphore(0), "fine": threading.Semaphore(0)}

    def fail() -> None:
        done["failing"].release()
        raise ConnectionError("the broker is away")

    beat = Beat(
        {
            "failing": Entry(every(0.01), fail),
            "fine": Entry(every(0.01), done["fine"].release),
            "never": Entry(crontab_of("0 3 29 2 *"), lambda: None),
        }
    )
    beat.start()
    for _ in range(3):
        assert all(reached.acquire(timeout=60) for reached in done.values())
    beat.stop()
    assert "beat" not in {thread.name for thread in threading.enumerate()}
    assert not list(tmp_path.iterdir())
