"""A scheduling simulator: what forecasts are worth to a scheduler, on tasks that were held out."""
