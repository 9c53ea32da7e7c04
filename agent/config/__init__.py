"""Typed configuration: schema, loading, and reporting of every problem at once."""
