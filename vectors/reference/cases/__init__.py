"""Generators of the cases: each module makes the cases of one file of `v1`."""
