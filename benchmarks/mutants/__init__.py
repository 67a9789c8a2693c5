"""Faults that are planted on purpose, one at a time, to see whether the tests notice: `python -m benchmarks.mutants`."""
