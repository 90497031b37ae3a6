"""The cache of answers: bounded, and never of a bundle that does not answer any more."""

from __future__ import annotations

from foretell_server.cache import LARGEST, AnswerCache, Kept, Life


def kept(body: bytes = b"answer", life: Life | None = None) -> Kept:
    """Return an answer that may be kept."""
    return Kept(body, "toy", "v1", life or Life())


def test_the_answer_that_was_not_used_for_longest_goes() -> None:
    """There are never more answers than were allowed, and those that repeat stay."""
    cache = AnswerCache(2)
    for request in (b"a", b"b"):
        cache.put(request, kept())
    assert cache.get(b"a") is not None
    cache.put(b"c", kept())
    assert len(cache) == 2
    assert cache.get(b"b") is None
    assert cache.get(b"a") is not None
    assert (cache.hits, cache.misses) == (2, 1)


def test_answers_end_with_the_life_that_they_were_given_in() -> None:
    """When a bundle is replaced or corrected, what it said before is not repeated."""
    cache, life = AnswerCache(2), Life()
    cache.put(b"a", kept(life=life))
    life.over = True
    assert cache.get(b"a") is None
    assert len(cache) == 0
    cache.put(b"a", kept(life=life))
    assert len(cache) == 0


def test_a_cache_of_none_keeps_none_and_large_answers_are_not_kept() -> None:
    """Memory is bounded by the number of answers, because none of them is large."""
    none = AnswerCache(0)
    none.put(b"a", kept())
    assert none.get(b"a") is None
    cache = AnswerCache(2)
    cache.put(b"a", kept(bytes(LARGEST)))
    assert len(cache) == 0
