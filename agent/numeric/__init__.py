"""Vectorised analysis of series."""
