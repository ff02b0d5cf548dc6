"""Measures, judges, records and shows solvers, which it knows by name only."""
