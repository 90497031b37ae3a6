"""Nothing is sent to anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_predicting_leaves_no_trace_of_telemetry(tmp_path: Path) -> None:
    """ONNX Runtime's own telemetry, which begins with a session file, is off unless asked for."""
    script = (
        "from foretell.errors import BundleRejected\n"
        "from foretell.predictor import open_session\n"
        "try: open_session(b'', 'v')\n"
        "except BundleRejected: pass\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", script], env={**environment, "TMPDIR": str(tmp_path)}, check=True
    )
    assert list(tmp_path.iterdir()) == []
