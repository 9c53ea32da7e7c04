"""Rebellion agent: a metrics agent that stays standing when everything around it fails."""

__version__ = "0.1.0"
