"""The features are what the sections of a binary say, and a broken binary is a clear error."""

from __future__ import annotations

from contextlib import suppress

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from foretell.errors import InvalidInput
from foretell.measure.tasks import TASKS, compile_text
from foretell.measure.wasm_features import features_of

EMPTY = b"\0asm\1\0\0\0"

EXAMPLE = """
(module
  (type $unused (func (param i64)))
  (import "host" "log" (func (param i32)))
  (import "host" "memory" (memory 2))
  (import "host" "base" (global i32))
  (import "host" "table" (table 4 funcref))
  (table 3 funcref)
  (global i32 (i32.const 1))
  (global (mut f64) (f64.const 2.5))
  (export "run" (func $run))
  (export "pick" (func $pick))
  (elem (table 1) (i32.const 0) func $run $pick)
  (data (i32.const 0) "0123456789")
  (data (i32.const 16) "abc")
  (func $run (param i32) (result i32) (local i32 i32 i64) (local f64)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.const 2))))
  (func $pick (param i32)
    (block (block (block (br_table 0 1 2 0 (local.get 0)))))))
"""


def binary(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def test_counts_are_those_of_the_sections() -> None:
    """Everything that a module defines is counted, and what it imports apart from that."""
    found = features_of(binary(EXAMPLE))
    assert found.binary_size_bytes == len(binary(EXAMPLE))
    assert found.import_count == 4
    assert found.export_count == 2
    assert found.function_count == 2
    assert found.table_count == 1
    assert found.global_variable_count == 2
    assert found.type_definition_count == 3
    assert found.element_segment_count == 1
    assert found.data_segment_count == 2


def test_locals_are_the_declared_ones() -> None:
    """Parameters are not local variables; runs of one type count one by one."""
    found = features_of(binary(EXAMPLE))
    assert found.total_local_variables == 4
    assert found.max_local_variables_per_function == 4
    assert found.avg_local_variables_per_function == 2.0


def test_sizes_are_in_bytes() -> None:
    """Code, data and memory are sized in bytes; an imported memory counts as memory."""
    found = features_of(binary(EXAMPLE))
    assert found.linear_memory_bytes == 2 * 65_536
    # 13 bytes of content, and per segment a mode, an offset expression and two lengths.
    assert found.data_section_size_bytes == 1 + 2 * (1 + 3 + 1) + 13
    # $run: three groups of locals (7 bytes), then 11 bytes of instructions.
    # $pick: no locals (1 byte), then 18 bytes of instructions.
    assert found.max_function_bytes == 19
    assert found.code_bytes == 18 + 19


def test_a_module_without_sections_has_zeros() -> None:
    """The smallest module there is has nothing, and no division by its zero functions."""
    found = features_of(EMPTY)
    assert found.binary_size_bytes == 8
    assert {*found.as_row().values()} == {8, 0}


def test_functions_with_many_branches_are_counted() -> None:
    """More than ten decisions in one body make it one of high complexity."""

    def module(branches: int) -> str:
        branch = "(if (local.get 0) (then (nop)))"
        return f'(module (func (export "run") (param i32) {branch * branches}))'

    assert features_of(binary(module(10))).high_complexity_functions == 0
    assert features_of(binary(module(11))).high_complexity_functions == 1


def test_every_kind_of_immediate_is_walked() -> None:
    """Constants, memory, tables, references, conversions and typed selects hide no branch."""
    text = """(module (memory 1) (table 2 funcref) (elem func $f) (data "x")
      (func $f (param i32) (result i32) (local i64 f32 f64 funcref)
        (local.set 1 (i64.const -123456789012345)) (local.set 2 (f32.const 1.5))
        (local.set 3 (f64.const -2.5)) (local.set 4 (ref.null func)) (local.set 4 (ref.func $f))
        (i64.store offset=70000 (i32.const 8) (i64.const 1))
        (drop (i32.trunc_sat_f64_s (local.get 3)))
        (memory.copy (i32.const 0) (i32.const 8) (i32.const 4))
        (memory.fill (i32.const 0) (i32.const 8) (i32.const 4))
        (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop 0)
        (table.set (i32.const 0) (local.get 4)) (drop (table.get (i32.const 0)))
        (drop (table.size 0)) (drop (ref.is_null (local.get 4)))
        (drop (select (result i64) (i64.const 1) (i64.const 2) (local.get 0)))
        (drop (call_indirect (type 0) (i32.const 1) (i32.const 0)))
        (drop (i32.extend8_s (memory.grow (memory.size))))
        (block $out (loop $again (br_if $out (local.get 0)) (br $again)))
        (i32.const 0x7fffffff)))"""
    assert features_of(binary(text)).high_complexity_functions == 0


def test_an_unknown_instruction_makes_complexity_missing() -> None:
    """Vectors are not walked: the count is missing then, instead of wrong."""
    text = "(module (func (drop (v128.const i64x2 1 2))))"
    found = features_of(binary(text))
    assert found.high_complexity_functions is None
    assert found.function_count == 1


@pytest.mark.parametrize("name", TASKS)
def test_our_own_modules_are_read_to_the_end(name: str) -> None:
    """Each shipped module has one function called run, code, and a known complexity."""
    found = features_of(compile_text(TASKS[name].path))
    assert found.export_count >= 1
    assert 0 < found.max_function_bytes <= found.code_bytes < found.binary_size_bytes
    assert found.high_complexity_functions is not None


def test_our_own_modules_differ() -> None:
    """No two tasks look the same to a model that only sees their features."""
    rows = {tuple(features_of(compile_text(t.path)).as_row().values()) for t in TASKS.values()}
    assert len(rows) == len(TASKS)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "does not start with"),
        (b"\x7fELF\2\1\1\0", "does not start with"),
        (b"\0asm\2\0\0\0", "version is not 1"),
        (b"\0asm\x0d\0\1\0", "it is a component"),
        (EMPTY + b"\x63\0", "there is no section 99"),
        (EMPTY + b"\1\x7f\0", "127 bytes are announced, 1 are left"),
        (EMPTY + b"\1\5\xff\xff\xff\xff\xff", "longer than 32 bits"),
        (EMPTY + b"\1\5\xff\xff\xff\xff\x7f", "does not fit 32 bits"),
        (EMPTY + b"\3\2\1\0", "1 functions are declared, 0 have a body"),
        (EMPTY + b"\2\4\1\0\0\x09", "unknown kind 9"),
        (EMPTY + b"\5\2\1\x40", "unknown flags"),
        (EMPTY + b"\3\2\1\0\x0a\7\1\5\0\x0e\xff\xff\3", "announces 65535 targets"),
    ],
)
def test_a_malformed_binary_is_refused_with_the_reason(content: bytes, why: str) -> None:
    """The error says what is wrong, and at which byte."""
    with pytest.raises(InvalidInput, match=why) as caught:
        features_of(content)
    assert "byte" in caught.value.violations[0].value


@given(st.data())
def test_a_cut_or_damaged_binary_raises_nothing_else(data: st.DataObject) -> None:
    """Whatever is done to a binary, it is read or refused; it never crashes the parser."""
    content = bytearray(compile_text(TASKS[data.draw(st.sampled_from(sorted(TASKS)))].path))
    for place in data.draw(st.lists(st.integers(8, len(content) - 1), max_size=3)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    with suppress(InvalidInput):
        assert features_of(bytes(content[:cut])).binary_size_bytes == cut
