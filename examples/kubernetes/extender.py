"""A scheduler extender for Kubernetes that asks Foretell which nodes are fast enough, and how fast.

    python examples/kubernetes/extender.py --address localhost:50051 --port 8888

The pod says in annotations what it is (`foretell/workload`, `foretell/features` as JSON) and, if it
has one, how long it may take (`foretell/deadline-s`) and how sure that has to be
(`foretell/probability`, 0.9). A node's name is the value of the feature `node`. Pods without
annotations, and all pods while Foretell does not answer, are left to the scheduler's own judgement.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

import numpy as np

from foretell.client import Client, MetricColumns
from foretell.errors import ForetellError

HIGHEST_SCORE = 10
"""Of an extender; the scheduler multiplies it by the extender's weight."""
METRIC = "duration_s"


class Judge:
    """Forecasts of one pod on many nodes, in one call."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def filter(self, pod: dict[str, Any], nodes: Sequence[str]) -> dict[str, Any]:
        """Return the nodes that keep the pod's deadline often enough, and why others do not."""
        asked = pod["metadata"].get("annotations", {})
        if "foretell/workload" not in asked or "foretell/deadline-s" not in asked:
            return {"NodeNames": list(nodes), "FailedNodes": {}}
        limit = float(asked["foretell/deadline-s"])
        wanted = float(asked.get("foretell/probability", 0.9))
        forecast = self._forecast(asked, nodes, deadlines={METRIC: limit})
        sure = dict(zip(nodes, forecast.deadlines[limit].tolist(), strict=True))
        why = {
            node: f"{METRIC} <= {limit:g} s holds with {p:.2f}, {wanted:g} is wanted"
            for node, p in sure.items()
            if p < wanted
        }
        return {"NodeNames": [node for node in nodes if node not in why], "FailedNodes": why}

    def prioritize(self, pod: dict[str, Any], nodes: Sequence[str]) -> list[dict[str, Any]]:
        """Return a score for each node: the fastest has 10, one that takes twice as long 5."""
        asked = pod["metadata"].get("annotations", {})
        if "foretell/workload" not in asked:
            return [{"Host": node, "Score": 0} for node in nodes]
        median = self._forecast(asked, nodes).median
        scores = np.rint(HIGHEST_SCORE * median.min() / median).astype(int).tolist()
        return [{"Host": n, "Score": score} for n, score in zip(nodes, scores, strict=True)]

    def _forecast(
        self,
        asked: dict[str, str],
        nodes: Sequence[str],
        deadlines: Mapping[str, float] = MappingProxyType({}),
    ) -> MetricColumns:
        features = json.loads(asked.get("foretell/features", "{}"))
        rows = [{**features, "node": node} for node in nodes]
        found = self._client.predict_many(asked["foretell/workload"], rows, deadlines=deadlines)
        return found.metrics[METRIC]


def handler_of(judge: Judge) -> type[BaseHTTPRequestHandler]:
    """Return what answers POST /filter and /prioritize."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pod, nodes = arguments["Pod"], arguments["NodeNames"]
            answer: Any
            try:
                if self.path == "/filter":
                    answer = judge.filter(pod, nodes)
                else:
                    answer = judge.prioritize(pod, nodes)
            except ForetellError as error:
                self.log_message("left to the scheduler: %s", error.message)
                everything = {"NodeNames": nodes, "FailedNodes": {}}
                nothing = [{"Host": node, "Score": 0} for node in nodes]
                answer = everything if self.path == "/filter" else nothing
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--address", default="localhost:50051")
    parser.add_argument("--port", type=int, default=8888)
    given = parser.parse_args()
    with Client(given.address) as client:
        ThreadingHTTPServer(("127.0.0.1", given.port), handler_of(Judge(client))).serve_forever()


if __name__ == "__main__":
    main()
