"""Built-in recovery strategies."""
