"""From the buffer to the sink."""
