"""Benchmarks: the commands that print the numbers this project claims."""
