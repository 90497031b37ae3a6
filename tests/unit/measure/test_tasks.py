"""The modules compute what their comments say, checked against the same thing in Python."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import InvalidInput, NotFound
from foretell.measure.tasks import TASKS, compile_text, task_named

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1


def run(name: str, argument: int) -> int | float:
    """What the module returns, with integers made unsigned."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, compile_text(TASKS[name].path))
    function = wasmtime.Instance(store, module, []).exports(store)["run"]
    assert isinstance(function, wasmtime.Func)
    result = function(store, argument)
    if isinstance(result, int):
        bits = MASK64 if str(function.type(store).results[0]) == "i64" else MASK32
        return result & bits
    assert isinstance(result, float)
    return result


def congruential() -> Iterator[int]:
    x = 12345
    while True:
        x = (x * 1664525 + 1013904223) & MASK32
        yield x


def fib_recursive(n: int) -> int:
    return n if n < 2 else fib_recursive(n - 1) + fib_recursive(n - 2)


def fib_iterative(repeats: int) -> int:
    state = 0
    for _ in range(repeats):
        a, b = state, 1
        for _ in range(90):
            a, b = b, (a + b) & MASK64
        state = a
    return state


def matmul(n: int) -> float:
    left = [[(i * n + k) % 17 - 8 for k in range(n)] for i in range(n)]
    right = [[(k * n + j) % 13 - 6 for j in range(n)] for k in range(n)]
    return float(
        sum(left[i][k] * right[k][j] for i in range(n) for j in range(n) for k in range(n))
    )


def transpose(n: int) -> int:
    turned = ((row * n + column) * 2654435761 for column in range(n) for row in range(n))
    return sum(place * value for place, value in enumerate(turned)) & MASK32


def quicksort(count: int) -> int:
    numbers = sorted(islice(congruential(), count))
    return sum(place * number for place, number in enumerate(numbers)) & MASK64


def sieve(limit: int) -> int:
    return sum(
        all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
        for number in range(2, limit + 1)
    )


def fnv1a(count: int) -> int:
    state, hashed = 2463534242, 0xCBF29CE484222325
    for _ in range(count):
        state ^= (state << 13) & MASK32
        state ^= state >> 17
        state ^= (state << 5) & MASK32
        hashed = ((hashed ^ (state & 0xFF)) * 0x100000001B3) & MASK64
    return hashed


def sha256(count: int) -> int:
    message = bytes((31 * k + 7) % 256 for k in range(count))
    return int.from_bytes(hashlib.sha256(message).digest()[:8], "big")


def json_scan(records: int) -> int:
    value = [
        {"id": k, "name": 'task "a"', "ok": [True, None], "cost": {"cpu": k % 97}}
        for k in range(records)
    ]
    text = json.dumps(value, separators=(",", ":"))
    strings = (text.count('"') - text.count('\\"')) // 2
    return sum(k + k % 97 for k in range(records)) + 1000003 * strings + 7919 * 3


def hash_table(keys: int) -> int:
    counts = Counter((x >> 8) % keys for x in islice(congruential(), keys))
    return len(counts) + (max(counts.values()) << 32)


def mandelbrot(n: int) -> int:
    total = 0
    for i in range(n):
        for j in range(n):
            cx, cy = j * (3 / n) + -2.0, i * (3 / n) + -1.5
            x = y = 0.0
            for _ in range(64):
                x2, y2 = x * x, y * y
                if x2 + y2 > 4:
                    break
                x, y = x2 - y2 + cx, 2 * x * y + cy
                total += 1
    return total


def levenshtein(n: int) -> int:
    left = [(k * k) % 7 for k in range(n)]
    right = [(k * k + k // 5) % 7 for k in range(n)]
    row = list(range(n + 1))
    for i, a in enumerate(left, 1):
        previous, row = row, [i]
        for j, b in enumerate(right, 1):
            row.append(min(row[-1] + 1, previous[j] + 1, previous[j - 1] + (a != b)))
    return row[-1]


def dispatch(count: int) -> int:
    operations: list[Callable[[int, int], int]] = [
        lambda x, _: x + 0x6D2B79F5,
        lambda x, _: x * 3 + 1,
        lambda x, _: (x << 7) | (x >> 25),
        lambda x, _: x ^ 0x55AA55AA,
        lambda x, _: x * x + 7,
        lambda x, _: x ^ (x >> 15),
        lambda x, step: x - step,
        lambda x, _: x * 0x2C1B3C6D,
    ]
    x = 1
    for step in range(1, count + 1):
        x = operations[((x >> 9) ^ step) & 7](x, step) & MASK32
    return x


class Body:
    def __init__(self, place: tuple[float, ...], speed: tuple[float, ...], mass: float) -> None:
        self.place, self.speed, self.mass = list(place), list(speed), mass


def nbody(steps: int) -> float:
    bodies = [
        Body((0, 0, 0), (0, 0, 0), 40),
        Body((5, 0, 0), (0, 2.5, 0.25), 2**-5),
        Body((0, 10, 0), (-2, 0, 0.125), 2**-7),
        Body((-20, 0, 1), (0, -1.5, 0), 2**-9),
        Body((0, -30, -1), (1, 0, 0), 2**-8),
    ]
    pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1 :]]
    for _ in range(steps):
        for a, b in pairs:
            delta = [p - q for p, q in zip(a.place, b.place, strict=True)]
            pull = 0.01 / sum(d * d for d in delta) ** 1.5
            for axis, d in enumerate(delta):
                a.speed[axis] -= d * b.mass * pull
                b.speed[axis] += d * a.mass * pull
        for body in bodies:
            body.place = [p + 0.01 * v for p, v in zip(body.place, body.speed, strict=True)]
    kinetic = sum(0.5 * b.mass * sum(v * v for v in b.speed) for b in bodies)
    return kinetic - sum(a.mass * b.mass / math.dist(a.place, b.place) for a, b in pairs)


REFERENCES: dict[str, Callable[[int], int | float]] = {
    "dispatch": dispatch,
    "fib_iterative": fib_iterative,
    "fib_recursive": fib_recursive,
    "fnv1a": fnv1a,
    "hash_table": hash_table,
    "json_scan": json_scan,
    "levenshtein": levenshtein,
    "mandelbrot": mandelbrot,
    "matmul": matmul,
    "nbody": nbody,
    "quicksort": quicksort,
    "sha256": sha256,
    "sieve": sieve,
    "transpose": transpose,
}
# Around the limits of pages and of SHA-256 blocks, and large enough that memory has to grow.
ARGUMENTS = {
    **dict.fromkeys(("fib_recursive",), (1, 2, 3, 10, 20)),
    **dict.fromkeys(("fnv1a", "sha256"), (1, 3, 55, 56, 63, 64, 65, 1000, 70_000)),
    **dict.fromkeys(("quicksort", "sieve", "hash_table"), (1, 2, 3, 10, 100, 20_000)),
    **dict.fromkeys(("dispatch", "fib_iterative"), (1, 2, 10, 1000)),
    "transpose": (1, 2, 3, 33, 150),
    "matmul": (1, 2, 3, 33, 60),
    "mandelbrot": (1, 2, 3, 50, 270),
    "levenshtein": (1, 2, 3, 33, 150),
    "json_scan": (1, 2, 10, 1001),
    "nbody": (1, 2, 10, 500),
}


@pytest.mark.parametrize("name", TASKS)
def test_a_module_computes_what_its_comment_says(name: str) -> None:
    """Every task returns, for several arguments, what a plain Python version of it returns."""
    for argument in ARGUMENTS[name]:
        assert run(name, argument) == pytest.approx(REFERENCES[name](argument), rel=1e-9), argument


@pytest.mark.parametrize("name", TASKS)
def test_work_grows_with_the_argument(name: str) -> None:
    """The expected work of a task increases strictly, or arguments could not be chosen by it."""
    task = TASKS[name]
    arguments = [1, 2, 3, 7, 20, task.largest]
    works = [task.work(argument) for argument in arguments]
    assert works == sorted(set(works))


@given(name=st.sampled_from(sorted(TASKS)), data=st.data())
def test_the_argument_for_a_work_is_the_one_that_does_it(name: str, data: st.DataObject) -> None:
    """argument_for inverts work, and stays within what the task allows."""
    task = TASKS[name]
    argument = data.draw(st.integers(1, task.largest))
    assert task.argument_for(task.work(argument)) == argument
    assert task.argument_for(task.work(task.largest) * 10) == task.largest
    assert task.argument_for(0.0) == 1


@pytest.mark.parametrize("argument", [0, -1, 47])
def test_an_argument_out_of_range_is_refused(argument: int) -> None:
    """The error names the value and the range of the task."""
    with pytest.raises(InvalidInput, match=f"{argument} must be from 1 to 46 for fib_recursive"):
        TASKS["fib_recursive"].check_argument(argument)


def test_an_unknown_task_is_refused_with_the_known_ones() -> None:
    """A wrong name is answered with the names that exist."""
    with pytest.raises(NotFound, match="quicksort"):
        task_named("bogosort")
