"""Training jobs, as server and trainer see them: their states are kept in the broker.

Keys: `foretell:job:<id>` (hash: one JSON text per field of `Job`), `foretell:job:<id>:events`
(stream: what changed), `foretell:job:<id>:cancel` (set when somebody asked to stop),
`foretell:request:<workload>:<request id>` (the job of that request), `foretell:jobs` and
`foretell:jobs:<workload>` (sorted sets of ids by time). They expire after `KEPT_S`.

This module has the blocking store, `foretell.jobs_async` the same for asyncio.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from foretell.errors import NotFound, Unavailable

JobState = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
FINAL: frozenset[JobState] = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})

BUNDLES_CHANNEL = "foretell:bundles"
KEPT_S = 30 * 24 * 3600
EVENTS_KEPT = 10_000
BLOCK_MS = 5_000

CONNECTION: Mapping[str, Any] = {
    "decode_responses": True,
    # Replies keep the shape they have in this version of the protocol, whatever the default is.
    "protocol": 2,
    "socket_connect_timeout": 5,
    "socket_timeout": 30,  # above BLOCK_MS, or every quiet watch would look like a failure
    "socket_keepalive": True,
    "health_check_interval": 25,
}


class Job(BaseModel):
    """One training run, from the request to its end."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    workload: str
    request_id: str = ""
    spec: dict[str, Any] = Field(default_factory=dict)
    """What to train on, and how; the trainer's business."""
    state: JobState = "QUEUED"
    stage: str = ""
    fraction: float = 0.0
    """How much is done, in [0, 1]."""
    numbers: dict[str, float] = Field(default_factory=dict)
    """Numbers so far, by name."""
    bundle_version: str = ""
    """What it published, when it succeeded."""
    outcome: str = ""
    """In one sentence, how it ended."""
    promoted: bool = False
    """Whether what it published became current."""
    error: str = ""
    error_status: str = ""
    """The gRPC status name of the error, when it failed."""
    created_at: AwareDatetime
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing about the job will change any more."""
        return self.state in FINAL

    def after(self, changes: Mapping[str, Any]) -> Job:
        """Return the job with some fields changed."""
        return Job.model_validate({**self.model_dump(), **changes})


@dataclass(frozen=True, slots=True)
class Announcement:
    """The registry changed: a workload's alias now stands for this version."""

    workload: str
    version: str
    alias: str


class Event(NamedTuple):
    """One entry of a job's stream: its position and the fields that changed."""

    position: str
    changes: Mapping[str, Any]


class Script(NamedTuple):
    """A Lua script with its keys and arguments; scripts run in the broker as one step."""

    text: str
    keys: Sequence[str]
    args: Sequence[str]

    def call(self) -> tuple[str | int, ...]:
        """Return the arguments of `eval`."""
        return (self.text, len(self.keys), *self.keys, *self.args)


_CREATE = """
local known = redis.call('GET', KEYS[1])
if known and redis.call('EXISTS', 'foretell:job:' .. known) == 1 then return known end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('HSET', KEYS[2], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
return ARGV[1]
"""

_UPDATE = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'missing' end
if state ~= '"QUEUED"' and state ~= '"RUNNING"' then return 'final' end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'changes', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 'updated'
"""

_CANCEL = """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'missing' end
if state ~= '"QUEUED"' and state ~= '"RUNNING"' then return 'final' end
redis.call('SET', KEYS[3], '1', 'EX', ARGV[1])
if state == '"QUEUED"' then
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'changes', ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[1])
end
return 'cancelled'
"""


def new_job(workload: str, request_id: str, spec: Mapping[str, Any]) -> Job:
    """Return a queued job; without a request id, one that no other request can join."""
    job_id = uuid.uuid4().hex
    return Job(
        id=job_id,
        workload=workload,
        request_id=request_id or job_id,
        spec=dict(spec),
        created_at=datetime.now(UTC),
    )


def job_key(job_id: str) -> str:
    """Return the key of a job's hash."""
    return f"foretell:job:{job_id}"


def events_key(job_id: str) -> str:
    """Return the key of the stream of a job's changes."""
    return f"foretell:job:{job_id}:events"


def cancel_key(job_id: str) -> str:
    """Return the key that is set when a job is to stop."""
    return f"foretell:job:{job_id}:cancel"


def index_key(workload: str | None) -> str:
    """Return the key of the sorted set of job ids, of one workload or of all."""
    return f"foretell:jobs:{workload}" if workload else "foretell:jobs"


def create_script(job: Job) -> Script:
    """Return the script that stores a job, or answers the id of the request's earlier one."""
    keys = (
        f"foretell:request:{job.workload}:{job.request_id}",
        job_key(job.id),
        index_key(job.workload),
        index_key(None),
    )
    fields = _fields(job.model_dump(mode="json"))
    return Script(_CREATE, keys, (job.id, str(KEPT_S), str(job.created_at.timestamp()), *fields))


def update_script(job_id: str, changes: Mapping[str, Any]) -> Script:
    """Return the script that changes fields of a job that is not over yet."""
    now = datetime.now(UTC).isoformat()
    stamped = dict(changes)
    if stamped.get("state") == "RUNNING":
        stamped["started_at"] = now
    elif stamped.get("state") in FINAL:
        stamped["finished_at"] = now
    return _changing(_UPDATE, (job_key(job_id), events_key(job_id)), stamped)


def cancel_script(job_id: str) -> Script:
    """Return the script that asks a job to stop; one that still waits is over at once."""
    keys = (job_key(job_id), events_key(job_id), cancel_key(job_id))
    over = {
        "state": "CANCELLED",
        "outcome": "cancelled before it began",
        "finished_at": datetime.now(UTC).isoformat(),
    }
    return _changing(_CANCEL, keys, over)


def read_job(job_id: str, fields: Mapping[str, str]) -> Job:
    """Return the job that a hash holds; NotFound when the hash is empty."""
    if not fields:
        raise NotFound("job", job_id)
    return Job.model_validate({name: json.loads(text) for name, text in fields.items()})


def read_events(found: Sequence[Any] | None) -> list[Event]:
    """Return the events of an XREAD reply about one job."""
    return [
        Event(position, json.loads(fields["changes"]))
        for _, events in found or ()
        for position, fields in events
    ]


def announcement_text(announcement: Announcement) -> str:
    """Return an announcement as it travels."""
    return json.dumps(asdict(announcement))


def read_announcement(text: str) -> Announcement:
    """Return the announcement that a message holds."""
    return Announcement(**json.loads(text))


@contextmanager
def reaching_broker() -> Iterator[None]:
    """Turn whatever says that the broker cannot be reached into Unavailable."""
    from redis.exceptions import RedisError  # noqa: PLC0415 -- clients have no redis

    try:
        yield
    except (RedisError, OSError) as error:
        raise Unavailable("the broker", str(error) or type(error).__name__) from error


class JobStore:
    """The jobs in a broker, for code that may block. Every call may raise Unavailable."""

    def __init__(self, url: str) -> None:
        from redis import Redis  # noqa: PLC0415 -- clients have no redis

        # Any: the package types every reply as bytes or text, awaited or not.
        self._redis: Any = Redis.from_url(url, **CONNECTION)

    def create(self, workload: str, request_id: str, spec: Mapping[str, Any]) -> Job:
        """Return a new queued job, or the one that the same request id made before.

        Send the task whenever what is returned is still QUEUED: the sender before may have
        died between the two steps, and workers take a job up only once.
        """
        with reaching_broker():
            job_id = self._redis.eval(*create_script(new_job(workload, request_id, spec)).call())
        return self.get(str(job_id))

    def get(self, job_id: str) -> Job:
        """Return a job, or raise NotFound."""
        with reaching_broker():
            return read_job(job_id, self._redis.hgetall(job_key(job_id)))

    def list(self, workload: str | None = None, *, start: int = 0, limit: int = 100) -> list[Job]:
        """Return jobs, of one workload or of all, newest first."""
        with reaching_broker():
            ids = self._redis.zrevrange(index_key(workload), start, start + limit - 1)
            pipe = self._redis.pipeline(transaction=False)
            for job_id in ids:
                pipe.hgetall(job_key(job_id))
            found = pipe.execute()
        return [read_job(i, fields) for i, fields in zip(ids, found, strict=True) if fields]

    def update(self, job_id: str, **changes: Any) -> Job:  # noqa: ANN401 -- fields of Job
        """Change fields of a job (`state`, `stage`, `fraction`, …) and return it.

        A job that is over is not changed: look at the state of what is returned.
        """
        with reaching_broker():
            self._redis.eval(*update_script(job_id, changes).call())
        return self.get(job_id)

    def request_cancel(self, job_id: str) -> Job:
        """Ask a job to stop and return it; one that still waits is over at once."""
        with reaching_broker():
            self._redis.eval(*cancel_script(job_id).call())
        return self.get(job_id)

    def is_cancelled(self, job_id: str) -> bool:
        """Return whether somebody asked the job to stop."""
        with reaching_broker():
            return bool(self._redis.exists(cancel_key(job_id)))

    def watch(self, job_id: str) -> Iterator[Job]:
        """Yield the job as it is now, and then after each change, until it is over."""
        with reaching_broker():
            pipe = self._redis.pipeline(transaction=True)
            pipe.hgetall(job_key(job_id))
            pipe.xrevrange(events_key(job_id), count=1)
            fields, last = pipe.execute()
            job = read_job(job_id, fields)
            position = last[0][0] if last else "0"
        yield job
        while not job.is_final:
            with reaching_broker():
                found = self._redis.xread({events_key(job_id): position}, block=BLOCK_MS)
            for event in read_events(found):
                position, job = event.position, job.after(event.changes)
                yield job

    def announce(self, workload: str, version: str, alias: str) -> None:
        """Tell every server that an alias now stands for another version."""
        text = announcement_text(Announcement(workload, version, alias))
        with reaching_broker():
            self._redis.publish(BUNDLES_CHANNEL, text)

    def listen(self) -> Iterator[Announcement | None]:
        """Yield None once nothing can be missed any more, then every announcement."""
        with reaching_broker(), self._redis.pubsub() as pubsub:
            pubsub.subscribe(BUNDLES_CHANNEL)
            while True:
                message = pubsub.get_message(timeout=BLOCK_MS / 1000)
                if message is not None and message["type"] == "subscribe":
                    yield None
                elif message is not None and message["type"] == "message":
                    yield read_announcement(message["data"])

    def close(self) -> None:
        """Give the connections back."""
        self._redis.close()


def _changing(text: str, keys: Sequence[str], changes: Mapping[str, Any]) -> Script:
    unknown = set(changes) - set(Job.model_fields)
    if unknown:
        raise TypeError(f"a job has no {', '.join(sorted(unknown))}")
    plain = {name: _plain(value) for name, value in changes.items()}
    args = (str(KEPT_S), str(EVENTS_KEPT), json.dumps(plain), *_fields(plain))
    return Script(text, keys, args)


def _fields(values: Mapping[str, Any]) -> list[str]:
    return [text for name, value in values.items() for text in (name, json.dumps(value))]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value
