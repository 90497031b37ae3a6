"""How good and how fast decisions are: choices on held-out models, limits, matrices, rankings."""
