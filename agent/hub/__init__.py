"""The hub: ingest, store, query, live page."""
