"""A history from a file, run through what the agent runs on, and what it saw as text, JSON, CSV and a picture."""
