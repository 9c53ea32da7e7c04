"""The agent's own port: its state as JSON, and the page for this host, from memory; see docs/status.md."""
