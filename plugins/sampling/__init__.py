"""Built-in sampling strategies."""
