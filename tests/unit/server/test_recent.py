"""Recent answers: kept, found again by anybody, and gone after a while."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from foretell_server.recent import FILE_BYTES, RecentAnswers


def request(keeper: RecentAnswers, prediction_id: str) -> bytes | None:
    """Return the request behind an answer."""
    found = keeper.find(prediction_id)
    return found and found.request


def recent(folder: Path, prefix: str = "abc", **changes: float) -> RecentAnswers:
    """Return what one process keeps."""
    limits = {"most_bytes": 1 << 30, "kept_s": 3600.0, **changes}
    return RecentAnswers(
        folder, prefix, most_bytes=int(limits["most_bytes"]), kept_s=limits["kept_s"]
    )


def test_answers_are_found_before_and_after_they_are_written(tmp_path: Path) -> None:
    """What was kept is found at once, once it is in a file, and by another process."""
    mine = recent(tmp_path)

    async def keep() -> None:
        following = asyncio.create_task(mine.follow(pool))
        mine.keep("abc-1", b"first")
        assert request(mine, "abc-1") == b"first"
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0.01)
        mine.keep("abc-2", b"")
        following.cancel()

    with ThreadPoolExecutor(1) as pool:
        asyncio.run(keep())
    mine.close()
    for reader in (mine, recent(tmp_path, "def")):
        assert [request(reader, f"abc-{n}") for n in (1, 2, 3)] == [b"first", b"", None]
    later = recent(tmp_path)
    later.keep("abc-3", b"third")
    later.close()
    assert request(mine, "abc-3") == b"third"


def test_answers_are_kept_for_a_bounded_time_and_size(tmp_path: Path) -> None:
    """Files beyond the size are removed, the oldest first; what is too old is not found."""
    mine = recent(tmp_path, most_bytes=2.5 * FILE_BYTES)
    for number in range(1, 6):
        mine.keep(f"abc-{number:x}", bytes(FILE_BYTES))
        mine.close()
    found = [mine.find(f"abc-{number:x}") is not None for number in range(1, 6)]
    assert found == [False, False, True, True, True]
    assert recent(tmp_path, "def", kept_s=1e-9).find("abc-5") is None


def test_torn_record_hides_nothing_but_itself(tmp_path: Path) -> None:
    """A file that a killed process left with half a record at its end is read up to that."""
    mine = recent(tmp_path)
    mine.keep("abc-1", b"whole")
    mine.keep("abc-2", b"torn")
    mine.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-2])
    assert request(recent(tmp_path, "def"), "abc-1") == b"whole"
    assert recent(tmp_path, "abc").find("abc-2") is None


def test_disk_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    """Where nothing can be written, keeping goes on and nothing is raised."""
    (tmp_path / "file").touch()
    mine = recent(tmp_path / "file")
    mine.keep("abc-1", b"lost")
    mine.close()
    assert mine.find("abc-1") is None


def test_who_answered_is_kept_with_the_corrections_of_the_time(tmp_path: Path) -> None:
    """An answer is found with the version and the corrections behind it, by another process too."""
    mine = recent(tmp_path)
    mine.keep("abc-1", b"asked", "20250131T235959Z-0a1b2c3d", 7)
    mine.keep_corrections("toy", "20250131T235959Z-0a1b2c3d", 7, "{}")
    assert mine.corrections("toy", "20250131T235959Z-0a1b2c3d", 7) == "{}"
    before = mine.find("abc-1")
    mine.close()
    other = recent(tmp_path, "def")
    found = other.find("abc-1")
    assert before is not None
    assert found is not None
    assert found[:3] == before[:3] == (b"asked", "20250131T235959Z-0a1b2c3d", 7)
    assert found.written_at > 0
    assert other.corrections("toy", "20250131T235959Z-0a1b2c3d", 7) == "{}"
    assert other.corrections("toy", "20250131T235959Z-0a1b2c3d", 8) is None
