"""The commands that decide: what they print and draw, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from foretell.registry import FolderRegistry
from tests.integration.cli.conftest import Ran, foretell
from tests.lab import lab_bundle

PNG = b"\x89PNG\r\n\x1a\n"

JOBS = "name,batch_size,work,deadline_s\na,1,500,30\nb,2,900,30\nc,1,100,30\n"
NODES = "name,kind,memory,slots,price_per_hour\nn1,fast,4000,1,2\nn2,old,4000,2,1\n"
MODELS = "name,hardware,batch_size,work\na,fast,1,1000\nb,fast,1,400\n"
RUNS = """hardware,batch_size,latency_ms,throughput_per_s
fast,1,10.2,98
fast,4,19.5,205
fast,16,41,390
old,1,41,24
old,16,155,103
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a registry that has the bundle of `tests.lab`, and some tables."""
    folder = tmp_path_factory.mktemp("lab")
    lab_bundle(folder / "bundle")
    FolderRegistry(folder / "models").publish(
        "lab", folder / "bundle", promote=True, who="test", why="test"
    )
    tables = {"jobs": JOBS, "nodes": NODES, "runs": RUNS, "models": MODELS}
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def ask(lab: Path, command: str, *args: str) -> Ran:
    """Run a command about the workload, with the bundle of the registry."""
    return foretell(command, "lab", "--registry", "models", *args, cwd=lab)


RECOMMEND = ("--set", "batch_size=4", "--candidate", "fast,price_per_hour=3",
             "--candidate", "old,price_per_hour=0.5", "--candidate", "huge,price_per_hour=4",
             "--objective", "cost", "--limit", "latency_ms<=60 ms@0.9")  # fmt: skip
PLACE = ("--items", "jobs.csv", "--nodes", "nodes.csv")
COMPARE = ("--set", "batch_size=4", "--objective", "latency_ms",
           "--side", "a,hardware=fast", "--side", "b,hardware=old")  # fmt: skip
SHARE = ("--items", "models.csv", "--limit", "latency_ms<=50")
CURVE = ("--set", "hardware=fast", "--sweep", "batch_size=1..64:7",
         "--objective", "throughput_per_s", "--limit", "latency_ms<=50")  # fmt: skip
MATRIX = ("--axis", "hardware=*", "--axis", "batch_size=1,4,16", "--metric", "latency_ms")


def test_a_recommendation_is_ranked_with_its_reasons(lab: Path) -> None:
    """The table has the ranking, with costs where there are prices; what is excluded has its
    reason below."""
    done = ask(lab, "recommend", *RECOMMEND)
    assert done.code == 0, done.err
    assert " cost " in done.out.splitlines()[0]
    priceless = ("--set", "batch_size=4", "--all", "--objective", "latency_ms")
    assert " cost " not in ask(lab, "recommend", *priceless).out.splitlines()[0]
    assert re.search(r"^1 +fast", done.out, re.M)
    assert "latency_ms <= 60 ms with 90 %: holds with 0.00" in done.out
    found = ask(lab, "recommend", *RECOMMEND, "--json").json
    assert [one["name"] for one in found["ranked"]] == ["fast", "huge"]
    assert found["excluded"][0]["limits"][0]["needed"] == pytest.approx(80 * 1.137, rel=0.01)


def test_a_mix_with_everything_is_understood(lab: Path) -> None:
    """Weights, references, facts as limits, risk and the Pareto front can be written on a line."""
    found = ask(
        lab, "recommend", "--set", "batch_size=4", "--all", "--objective", "latency_ms=2/10",
        "--objective", "power_w=1/100", "--limit", "memory_mb<=0.9*memory_gb", "--limit",
        "power_w>=150", "--risk", "0.5", "--pareto", "latency_ms", "--pareto", "power_w",
        "--max-results", "1", "--json",
    ).json  # fmt: skip
    assert found["objective"] == "2 latency_ms + 1 power_w"
    assert [one["name"] for one in found["ranked"]] == ["fast"]
    assert found["ranked_count"] == 2
    assert {one["name"]: one["reason"] for one in found["excluded"]} == {
        "old": "limit",
        "vague": "unknown",
    }


def test_what_is_infeasible_is_said(lab: Path) -> None:
    """Without a candidate that keeps the limit, the nearest is named, and the exit code is 0."""
    done = ask(lab, "recommend", *RECOMMEND, "--limit", "tdp_w<=50", "--markdown")
    assert done.code == 0, done.err
    assert "no candidate keeps every limit" in done.out
    assert "'old' comes nearest" in done.out
    assert "| excluded | reason | why |" in done.out


def test_a_matrix_is_printed_and_written(lab: Path) -> None:
    """All combinations are in the file, in order."""
    done = ask(lab, "matrix", *MATRIX, "--out", "cells.csv")
    assert done.code == 0, done.err
    lines = (lab / "cells.csv").read_text().splitlines()
    assert lines[0].startswith("hardware,batch_size,latency_ms,latency_ms_lower")
    assert len(lines) == 13
    assert ask(lab, "matrix", *MATRIX, "--json").json["cells"]["hardware"][3] == "huge"


def test_a_curve_names_its_best_point(lab: Path) -> None:
    """The best point keeps the limit; values may be listed one by one."""
    done = ask(lab, "curve", *CURVE)
    assert "best: batch_size 16" in done.out, done.err
    listed = ask(lab, "curve", "--set", "hardware=fast", "--sweep", "batch_size=1,3", "--json")
    assert listed.json["values"] == [1.0, 3.0]
    two = ask(lab, "curve", "--set", "hardware=fast", "--sweep", "batch_size=1,3")
    assert "latency_ms has no knee here" in two.out


def test_a_comparison_says_what_is_certain(lab: Path) -> None:
    """Each side but the first is held to the first, in one sentence."""
    done = ask(lab, "compare", *COMPARE)
    assert "'b' is certainly worse than 'a'" in done.out, done.err
    assert "cost" not in done.out  # nothing has a price
    assert ask(lab, "compare", *COMPARE, "--json").json["best"] == "a"


def test_a_batch_is_placed_from_tables(lab: Path) -> None:
    """Items and nodes are tables; the answer has every item, and the gap."""
    done = ask(lab, "place", *PLACE, "--goal", "cost")
    assert done.code == 0, done.err
    assert "exact, the best is at most 0 % lower" in done.out
    found = ask(lab, "place", *PLACE, "--json").json
    assert [one["item"] for one in found["assigned"]] == ["a", "b", "c"]


def test_nodes_may_be_a_catalog(lab: Path) -> None:
    """A table named by the node feature is taken as it is; what is left out is said."""
    catalog = "hardware,maker,price_per_hour\nfast,us,9\nold,them,2\n"
    (lab / "catalog.csv").write_text(catalog)
    done = ask(lab, "place", *PLACE[:2], "--nodes", "catalog.csv", "--json")
    assert {one["node"] for one in done.json["nodes"]} == {"fast", "old"}
    assert "catalog.csv: not used, as the workload does not know them: maker" in done.err


def test_items_share_a_device(lab: Path) -> None:
    """The strategies are ranked, with the timeline of each; what is not judged is said."""
    done = ask(lab, "share", *SHARE)
    assert done.code == 0, done.err
    assert "not judged: parallel" in done.out
    found = ask(lab, "share", *SHARE, "--slowdown", "1.3", "--json").json
    assert [one["name"] for one in found["strategies"]] == ["batched", "parallel", "sequential"]


COMMANDS = {
    "recommend": RECOMMEND,
    "matrix": MATRIX,
    "curve": (*CURVE, "--measured", "runs.csv"),
    "compare": COMPARE,
    "place": PLACE,
    "share": SHARE,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_decision_can_be_drawn(lab: Path, command: str) -> None:
    """The page of each command has its picture inside, and needs nothing else."""
    page = f"{command}.html"
    done = ask(lab, command, *COMMANDS[command], "--plot", page)
    assert done.code == 0, done.err
    _stands_alone((lab / page).read_text())


def test_pictures_are_files_too(lab: Path) -> None:
    """PNG and SVG are what they say; several pictures in one call are numbered."""
    both = ("--plot", "cells.png", "--plot", "cells.svg", "--metric", "power_w")
    done = ask(lab, "matrix", *MATRIX, *both)
    assert done.code == 0, done.err
    assert "cells-1.png, cells-2.png" in done.out
    assert (lab / "cells-2.png").read_bytes().startswith(PNG)
    svg = ET.fromstring((lab / "cells-1.svg").read_bytes())  # noqa: S314 -- our own file
    assert svg.tag.endswith("svg")


def _stands_alone(page: str) -> None:
    """Check that a page needs nothing from elsewhere: no scripts, styles, pictures, fonts."""
    assert "<svg" in page
    assert "<script" not in page
    links = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s)>]+)', page)
    assert all(link.startswith(("#", "data:")) for link in links)


def test_a_report_is_one_document(lab: Path) -> None:
    """The page stands alone; Markdown and JSON say the same, pictures are files if asked for."""
    for name in ("report.html", "report.md", "report.json"):
        pictures = ("--plot", "how.svg") if name == "report.json" else ()
        done = ask(lab, "report", "--data", "runs.csv", "--out", name, *pictures)
        assert done.code == 0, done.err
    assert {path.name for path in lab.glob("how-*.svg")} >= {"how-1.svg", "how-2.svg"}
    _stands_alone((lab / "report.html").read_text())
    text = (lab / "report.md").read_text()
    assert "## Against measurements" in text
    assert "| latency_ms | 5 |" in text
    assert '"rejected": 0' in (lab / "report.json").read_text()


BAD = {
    "a limit that is none": ("recommend", (*RECOMMEND, "--limit", "latency_ms=5"), "--limit"),
    "a lower limit that is a fact": (
        "recommend",
        (*RECOMMEND, "--limit", "memory_mb>=memory_gb"),
        "only be an upper one",
    ),
    "a weight that is none": ("recommend", (*RECOMMEND, "--objective", "cost=x"), "--objective"),
    "a feature that is none": ("recommend", ("--set", "size=1"), "no feature 'size'"),
    "a price that is none": ("recommend", ("--candidate", "fast,price_per_hour=x"), "a number"),
    "a sweep that is none": ("curve", ("--sweep", "batch_size=1-5"), "START..STOP"),
    "a sweep backwards": ("curve", ("--sweep", "batch_size=9..1"), "--sweep: 9 is not below stop"),
    "a limit where there is none": (
        "compare",
        (*COMPARE, "--limit", "latency_ms<=1"),
        "No such option '--limit'",
    ),
    "measurements that are not there": (
        "curve",
        (*CURVE, "--measured", "none.csv", "--plot", "c.png"),
        "--measured: no such file",
    ),
    "a sweep out of range": (
        "curve",
        ("--set", "hardware=fast", "--sweep", "batch_size=0,1"),
        "--sweep: 0",
    ),
    "an axis without values": ("matrix", ("--axis", "hardware="), "has no values; hardware=* is"),
    "an axis out of range": (
        "matrix",
        ("--axis", "batch_size=1,0", "--set", "hardware=fast"),
        "--axis batch_size: 0",
    ),
    "all of a number": ("matrix", ("--axis", "batch_size=*"), "knows no values"),
    "a column that is none": (
        "place",
        ("--items", "runs.csv", "--nodes", "nodes.csv"),
        "unknown columns",
    ),
    "a picture that is none": ("matrix", (*MATRIX, "--plot", "cells.gif"), ".png, .svg, .html"),
    "a folder that is none": ("matrix", (*MATRIX, "--plot", "no/cells.png"), "no folder"),
    "a report that is none": ("report", ("--out", "report.doc"), ".html, .md, .json"),
    "two ways to ask": ("matrix", (*MATRIX, "--address", "localhost:1"), "either --registry"),
    "too much for a picture": (
        "matrix",
        ("--axis", f"batch_size={','.join(map(str, range(1, 90)))}", "--set", "hardware=fast",
         "--plot", "cells.png"),
        "a picture has room",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_asked_is_one_line_on_standard_error(lab: Path, name: str) -> None:
    """A mistake ends with a code and one line that names the option."""
    command, args, said = BAD[name]
    done = ask(lab, command, *args)
    assert done.code in (1, 2)
    assert said in done.err
    assert done.err.count("\n") == 1


def test_an_explanation_is_a_table_of_effects(lab: Path) -> None:
    """Each feature has its effect on each metric; below are the nearest that were measured."""
    asked = ("--set", "hardware=old", "--set", "batch_size=16", "--metric", "latency_ms")
    done = ask(lab, "explain", *asked)
    assert done.code == 0, done.err
    assert re.search(r"^typical +40$", done.out, re.M)
    assert re.search(r"^hardware +old +x2\.00$", done.out, re.M)
    # What was not given and does nothing shares a line.
    assert re.search(r"^6 others +- +x1\.00$", done.out, re.M)
    assert "compiled" not in done.out
    assert re.search(r"^median +160$", done.out, re.M)
    assert "Effects are exact, compared with 6 training rows." in done.out
    assert re.search(r"^old +16 +160 +10 +0\.000$", done.out, re.M)
    found = ask(lab, "explain", *asked, "--neighbours", "1", "--json").json
    assert found["metrics"]["latency_ms"]["effects"]["batch_size"] == pytest.approx(2, rel=1e-4)
    assert found["neighbours"][0]["measured"] == {"latency_ms": pytest.approx(160)}


def test_an_explanation_says_what_it_cannot_do(lab: Path) -> None:
    """Unknown values are named and explained; wrong names are refused."""
    asked = ("--set", "hardware=new", "--set", "batch_size=16")
    done = ask(lab, "explain", *asked)
    assert "never seen in training: hardware" in done.out, done.err
    assert ask(lab, "explain", *asked, "--set", "color=red").code != 0
    assert "no metric 'speed'" in ask(lab, "explain", *asked, "--metric", "speed").err
    assert ask(lab, "explain", *asked, "--address", "localhost:1").code != 0
