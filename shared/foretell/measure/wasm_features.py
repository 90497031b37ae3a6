"""Static features of a WebAssembly module, counted in the sections of its own binary.

No engine is needed, so a scheduler can do this to a module that it has never run. The names are
those of the `functions` catalog of the `serverless` schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from foretell.measure import wasm_binary as wasm
from foretell.measure.wasm_binary import Cursor, Limits, read_limits
from foretell.measure.wasm_code import decisions

# McCabe's usual threshold: more than ten decisions are hard to follow.
HIGH_COMPLEXITY_DECISIONS = 10


@dataclass(frozen=True, slots=True)
class WasmFeatures:
    """What the binary of a module says about it before it is run.

    Counts are of what the module defines; what it imports is in `import_count` alone, except
    that an imported memory counts in `linear_memory_bytes`.
    """

    binary_size_bytes: int
    data_section_size_bytes: int
    code_bytes: int  # of all function bodies, local declarations included
    max_function_bytes: int
    import_count: int
    export_count: int
    function_count: int
    table_count: int
    element_segment_count: int
    data_segment_count: int
    global_variable_count: int
    type_definition_count: int
    total_local_variables: int  # declared in bodies; parameters are not counted
    max_local_variables_per_function: int
    avg_local_variables_per_function: float
    linear_memory_bytes: int  # of all memories, when the module starts
    # Functions with more than ten branches; None if an instruction is not known here.
    high_complexity_functions: int | None

    def as_row(self) -> dict[str, int | float | None]:
        """The features by name, in the order above."""
        return asdict(self)


def features_of(binary: bytes) -> WasmFeatures:
    """Parses the binary of a core module.

    Raises `InvalidInput` that says what is wrong and at which byte.
    """
    counts = _Counts()
    for section in wasm.sections(binary):
        reader = _READERS.get(section.number)
        if reader is not None:
            reader(section.cursor, counts)
    if counts.functions != len(counts.body_bytes):
        raise wasm.malformed(
            f"{counts.functions} functions are declared, {len(counts.body_bytes)} have a body",
            len(binary),
        )
    return WasmFeatures(
        binary_size_bytes=len(binary),
        data_section_size_bytes=counts.data_bytes,
        code_bytes=sum(counts.body_bytes),
        max_function_bytes=max(counts.body_bytes, default=0),
        import_count=counts.imports,
        export_count=counts.exports,
        function_count=counts.functions,
        table_count=counts.tables,
        element_segment_count=counts.elements,
        data_segment_count=counts.data_segments,
        global_variable_count=counts.globals,
        type_definition_count=counts.types,
        total_local_variables=sum(counts.locals),
        max_local_variables_per_function=max(counts.locals, default=0),
        avg_local_variables_per_function=sum(counts.locals) / max(len(counts.locals), 1),
        linear_memory_bytes=sum(m.minimum * m.page_bytes for m in counts.memories),
        high_complexity_functions=_high_complexity(counts.decisions),
    )


@dataclass(slots=True)
class _Counts:
    """What has been counted so far, while the sections go by."""

    types: int = 0
    imports: int = 0
    functions: int = 0
    tables: int = 0
    globals: int = 0
    exports: int = 0
    elements: int = 0
    data_segments: int = 0
    data_bytes: int = 0
    memories: list[Limits] = field(default_factory=list)
    body_bytes: list[int] = field(default_factory=list)
    locals: list[int] = field(default_factory=list)
    decisions: list[int | None] = field(default_factory=list)


def _high_complexity(found: list[int | None]) -> int | None:
    known = [count for count in found if count is not None]
    if len(known) < len(found):
        return None
    return sum(count > HIGH_COMPLEXITY_DECISIONS for count in known)


def _counter(name: str) -> Callable[[Cursor, _Counts], None]:
    """A reader for a section of which only the number of entries matters."""

    def read(cursor: Cursor, counts: _Counts) -> None:
        setattr(counts, name, cursor.number())

    return read


def _read_data(cursor: Cursor, counts: _Counts) -> None:
    counts.data_bytes = cursor.left
    counts.data_segments = cursor.number()


def _read_memories(cursor: Cursor, counts: _Counts) -> None:
    counts.memories += [read_limits(cursor) for _ in range(cursor.number())]


def _read_imports(cursor: Cursor, counts: _Counts) -> None:
    counts.imports = cursor.number()
    for _ in range(counts.imports):
        cursor.skip(cursor.number())  # module name
        cursor.skip(cursor.number())  # field name
        _read_import(cursor, counts)


def _read_import(cursor: Cursor, counts: _Counts) -> None:
    start = cursor.position
    kind = cursor.byte()
    if kind == 0:  # function: its type
        cursor.number()
    elif kind == 1:  # table
        cursor.value_type()
        read_limits(cursor)
    elif kind == 2:  # memory
        counts.memories.append(read_limits(cursor))
    elif kind == 3:  # global: type and whether it may change
        cursor.value_type()
        cursor.byte()
    elif kind == 4:  # tag
        cursor.byte()
        cursor.number()
    else:
        raise wasm.malformed(f"an import is of the unknown kind {kind}", start)


def _read_code(cursor: Cursor, counts: _Counts) -> None:
    for _ in range(cursor.number()):
        size = cursor.number()
        body = cursor.part(size)
        counts.body_bytes.append(size)
        counts.locals.append(_read_locals(body))
        counts.decisions.append(decisions(body))


def _read_locals(body: Cursor) -> int:
    total = 0
    for _ in range(body.number()):
        total += body.number()
        body.value_type()
    return total


_READERS: dict[int, Callable[[Cursor, _Counts], None]] = {
    wasm.TYPE: _counter("types"),
    wasm.IMPORT: _read_imports,
    wasm.FUNCTION: _counter("functions"),
    wasm.TABLE: _counter("tables"),
    wasm.MEMORY: _read_memories,
    wasm.GLOBAL: _counter("globals"),
    wasm.EXPORT: _counter("exports"),
    wasm.ELEMENT: _counter("elements"),
    wasm.CODE: _read_code,
    wasm.DATA: _read_data,
}
