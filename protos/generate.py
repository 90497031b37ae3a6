"""Generates the Python stubs of the protos, into shared/foretell/v1 or the folder given.

Run it with `make protos`: its interpreter pins the oldest protoc whose generated code loads on
every protobuf runtime that the client supports.
"""

import sys
from importlib.resources import files
from pathlib import Path

PROTOS = Path(__file__).resolve().parent
OUT = PROTOS.parent / "shared"


def generate(out: Path) -> None:
    """Writes pb2, pb2.pyi and pb2_grpc modules below `out`/foretell/v1.

    Raises SystemExit with protoc's exit code if a proto is wrong; protoc has then said why.
    """
    # Only this interpreter has them.
    from google.rpc import status_pb2  # noqa: PLC0415
    from grpc_tools import protoc  # noqa: PLC0415

    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    google_protobuf = files("grpc_tools") / "_proto"
    google_rpc = Path(status_pb2.__file__).parents[2]
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{google_protobuf}",
        f"-I{google_rpc}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        *sources,
    ]
    code = protoc.main(arguments)
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
