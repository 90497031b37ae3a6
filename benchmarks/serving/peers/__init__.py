"""Servers of other projects with the same graph, each in an environment of its own."""
