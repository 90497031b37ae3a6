"""Pictures of forecasts and decisions, for the extra `plot`.

Colours are those of Okabe and Ito (2008), and cividis for scales: people who see colours
differently see the same differences. What is uncertain looks uncertain.
"""

from foretell.plots.bars import comparison_figure, recommendation_figure
from foretell.plots.curves import Measured, curve_figure
from foretell.plots.heat_map import heat_map_figure
from foretell.plots.page import Page, Section
from foretell.plots.reliability import coverage_figure, reliability_figure, scatter_figure
from foretell.plots.saving import check_picture, save
from foretell.plots.timeline import placement_figure, sharing_figure

__all__ = [
    "Measured",
    "Page",
    "Section",
    "check_picture",
    "comparison_figure",
    "coverage_figure",
    "curve_figure",
    "heat_map_figure",
    "placement_figure",
    "recommendation_figure",
    "reliability_figure",
    "save",
    "scatter_figure",
    "sharing_figure",
]
