"""The protos and what is generated from them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

ROOT = Path(__file__).parents[2]
STUBS = (
    ROOT / "shared" / "foretell" / "v1",
    ROOT / "server" / "foretell_server" / "inference",
)
PROTOS = {path.name for path in (ROOT / "protos").rglob("*.proto")}
PYTHON = ROOT / ".venv-protos" / "bin" / "python"

needs_protoc = pytest.mark.skipif(
    not PYTHON.exists(), reason="no .venv-protos: no grpcio-tools 1.62 for this Python"
)


@pytest.mark.process
@needs_protoc
def test_stubs_are_those_of_the_protos(tmp_path: Path) -> None:
    """Generating again gives the committed stubs, byte by byte."""
    subprocess.run([PYTHON, ROOT / "protos" / "generate.py", tmp_path], check=True, timeout=120)
    fresh = {path.name: path.read_bytes() for path in tmp_path.rglob("*_pb2*")}
    committed = {path.name: path.read_bytes() for stubs in STUBS for path in stubs.glob("*_pb2*")}
    assert fresh.keys() == committed.keys()
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, "run `make protos`"


@pytest.mark.process
@needs_protoc
def test_everything_in_the_protos_is_explained(tmp_path: Path) -> None:
    """Each service, method, message, field, enum and value has a comment that is a sentence."""
    out = tmp_path / "protos.pb"
    options = ["--include_source_info", f"--descriptor_set_out={out}"]
    subprocess.run([PYTHON, "-c", PROTOC, str(ROOT / "protos"), *options], check=True, timeout=120)
    files = FileDescriptorSet.FromString(out.read_bytes()).file
    assert {Path(file.name).name for file in files} == PROTOS
    silent = []
    for file in files:
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for path, name in declared(file):
            if not comments.get(path, "").rstrip().endswith("."):
                silent.append(f"{file.name}: {name}")
    assert not silent


PROTOC = """
import sys
from pathlib import Path
import grpc_tools
from google.rpc import status_pb2
from grpc_tools import protoc
protos = Path(sys.argv[1])
sys.exit(protoc.main([
    "protoc", f"-I{protos}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
    f"-I{Path(status_pb2.__file__).parents[2]}", *sys.argv[2:],
    *sorted(str(p.relative_to(protos)) for p in protos.rglob("*.proto")),
]))
"""

# Field numbers in google.protobuf.FileDescriptorProto and below, as source paths name them.
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
_FIELD, _ONEOF, _VALUE, _METHOD = 2, 8, 2, 2


def declared(file: FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the source path and the name of everything that a file declares."""
    for i, message in enumerate(file.message_type):
        yield (_MESSAGE, i), message.name
        synthetic = {field.oneof_index for field in message.field if field.proto3_optional}
        for j, field in enumerate(message.field):
            yield (_MESSAGE, i, _FIELD, j), f"{message.name}.{field.name}"
        for j, oneof in enumerate(message.oneof_decl):
            if j not in synthetic:
                yield (_MESSAGE, i, _ONEOF, j), f"{message.name}.{oneof.name}"
    for i, enum in enumerate(file.enum_type):
        yield (_ENUM, i), enum.name
        for j, value in enumerate(enum.value):
            yield (_ENUM, i, _VALUE, j), value.name
    for i, service in enumerate(file.service):
        yield (_SERVICE, i), service.name
        for j, method in enumerate(service.method):
            yield (_SERVICE, i, _METHOD, j), f"{service.name}.{method.name}"
