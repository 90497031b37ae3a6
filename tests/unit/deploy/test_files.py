"""What is deployed names only what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from foretell.settings import ENV_PREFIX, Settings
from foretell_server.health import ALWAYS
from foretell_server.shelf import Shelf
from foretell_server.telemetry.census import Census
from foretell_server.telemetry.gathering import Gathering
from foretell_server.telemetry.meters import Meters

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
DOCUMENT = (ROOT / "docs" / "operating.md").read_text()
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))

_METRIC = re.compile(r"\bforetell_[a-z_]+")
_ENDINGS = re.compile(r"_(bucket|count|sum)$")


def documented() -> set[str]:
    """Return the metrics in the document's table."""
    rows = (line for line in DOCUMENT.splitlines() if line.startswith("| `foretell_"))
    return {name for row in rows for name in _METRIC.findall(row.split("|")[1])}


def metrics_in(text: str) -> set[str]:
    """Return the metrics that a text names, histograms by their own name."""
    return {_ENDINGS.sub("", name) for name in _METRIC.findall(text)}


def objects() -> list[dict[str, Any]]:
    """Return everything that the manifests declare."""
    return [thing for path in MANIFESTS for thing in yaml.safe_load_all(path.read_text())]


def containers() -> list[dict[str, Any]]:
    """Return the containers of all pods."""
    specs = [thing["spec"]["template"]["spec"] for thing in objects() if "replicas" in str(thing)]
    return [container for spec in specs for container in spec["containers"]]


def test_every_family_of_the_page_is_documented() -> None:
    """What a process shows, and who gathers several, is in docs/operating.md."""
    meters = Meters()
    meters.method("m").answered("w", 1.0)
    shown = {family.name for family in Census(meters, Shelf()).families()}
    shown |= {family.name for family in Gathering().families()}
    assert shown <= documented()


def test_dashboard_and_alerts_name_metrics_that_are_documented() -> None:
    """A panel or a rule about a metric that is gone would be empty, or silent."""
    dashboard = (DEPLOY / "dashboards" / "foretell.json").read_text()
    panels = json.loads(dashboard)["panels"]
    assert all(target["expr"] for panel in panels for target in panel["targets"])
    alerts = (DEPLOY / "prometheus" / "alerts.yaml").read_text()
    for text in (dashboard, alerts, json.dumps(yaml.safe_load(alerts))):
        assert metrics_in(text) <= documented()


def test_variables_are_settings() -> None:
    """Each FORETELL_ variable of images and manifests is a setting, and its value passes."""
    texts = [path.read_text() for path in (*MANIFESTS, DEPLOY / "compose.yaml")]
    texts.append((DEPLOY / "Containerfile").read_text())
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    assert {name for text in texts for name in re.findall(r"FORETELL_[A-Z_]+", text)} <= known
    for container in containers():
        pairs = {pair["name"]: pair["value"] for pair in container["env"] if "value" in pair}
        given = {n.removeprefix(ENV_PREFIX).lower(): v for n, v in pairs.items()}
        Settings.model_validate(given)


def test_ports_and_probes_are_those_of_the_server() -> None:
    """Probes ask on the port that is served, and liveness for what is always SERVING."""
    (server,) = (c for c in containers() if c["name"] == "server")
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    environment = {pair["name"]: pair.get("value") for pair in server["env"]}
    assert ports["grpc"] == Settings.model_fields["port"].default
    assert str(ports["metrics"]) == environment["FORETELL_METRICS_PORT"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert server[probe]["grpc"]["port"] == ports["grpc"]
    assert server["livenessProbe"]["grpc"]["service"] in ALWAYS
    assert "service" not in server["readinessProbe"]["grpc"]


def test_manifests_are_all_listed() -> None:
    """The kustomization has every file of its folder."""
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in MANIFESTS}
