"""Placement of many items on many nodes: what fits beside what, and in which order."""
