"""The wire protocol rebellion.v1, sans-I/O; agent and hub share it."""
