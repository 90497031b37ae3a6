"""Anomalies: single observations that cannot be, kept out of training until somebody looks."""
