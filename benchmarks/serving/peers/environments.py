"""The peers' environments: made on the first run with --peers, and used again after that."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import click

from benchmarks.serving.servers import Server, running
from foretell.bundle import MODEL_FILE, read_manifest
from foretell.ports import free_port

ENVIRONMENTS = Path(".foretell/benchmarks/envs")
PROGRAMS = Path(__file__).parent / "programs"

REQUIREMENTS = {
    "fastapi": ("fastapi", "uvicorn[standard]", "onnxruntime", "numpy"),
    "kserve": ("kserve", "onnxruntime"),
    "mlserver": ("mlserver", "onnxruntime"),
}

_Z_OF_80_PERCENT = 1.2816


def python_of(name: str) -> Path:
    """Return the interpreter of a peer's environment, which is made if there is none."""
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    ready = folder / ".installed"
    if not ready.exists():
        click.echo(f"installing {', '.join(REQUIREMENTS[name])} into {folder}", err=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run(
            [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]], check=True
        )
        ready.touch()
    return python.absolute()


def http_bulk(bundle: Path, scratch: Path) -> AbstractContextManager[Server]:
    """Run the FastAPI service on a bundle's graph."""
    manifest = read_manifest(bundle)
    schema, vocabulary = manifest.schema_, manifest.vocabulary
    about = {
        "version": manifest.version,
        "numbers": schema.number_names,
        "categories": schema.category_names,
        "metrics": schema.metric_names,
        "codes": {name: vocabulary[name] for name in schema.category_names},
        "spread": _Z_OF_80_PERCENT,
    }
    file = scratch / "about.json"
    file.write_text(json.dumps(about))
    port = free_port()
    command = [str(python_of("fastapi")), str(PROGRAMS / "http_bulk.py"), "--port", str(port)]
    model = ["--model", str(bundle / MODEL_FILE), "--about", str(file)]
    return running("FastAPI", port, [*command, *model])


def kserve(bundle: Path) -> AbstractContextManager[Server]:
    """Run KServe's Python server on a bundle's graph."""
    port = free_port()
    command = [str(python_of("kserve")), str(PROGRAMS / "kserve_model.py"), "--port", str(port)]
    rest = ["--http-port", str(free_port()), "--model", str(bundle / MODEL_FILE)]
    return running("KServe", port, [*command, *rest])


def mlserver(bundle: Path, scratch: Path) -> AbstractContextManager[Server]:
    """Run MLServer on a bundle's graph."""
    python, port, folder = python_of("mlserver"), free_port(), scratch / "mlserver"
    folder.mkdir()
    (folder / "mlserver_graph.py").write_text((PROGRAMS / "mlserver_graph.py").read_text())
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "parallel_workers": 0,
                "grpc_port": port,
                "http_port": free_port(),
                "metrics_port": free_port(),
                "grpc_max_message_length": 64 * 1024 * 1024,
                "debug": False,
            }
        )
    )
    (folder / "model-settings.json").write_text(
        json.dumps(
            {
                "name": "serverless",
                "implementation": "mlserver_graph.Graph",
                "parameters": {"uri": str((bundle / MODEL_FILE).absolute())},
            }
        )
    )
    command = [str(python.parent / "mlserver"), "start", str(folder)]
    return running("MLServer", port, command, {"PYTHONPATH": str(folder)})
