"""The demo: measure, train, serve, predict, run what was predicted, retrain; nothing is canned."""

from foretell.demo.outcomes import HeldOut, share_inside
from foretell.demo.result import DemoResult
from foretell.demo.story import DemoSettings, run_demo

__all__ = ["DemoResult", "DemoSettings", "HeldOut", "run_demo", "share_inside"]
