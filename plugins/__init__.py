"""Built-in plugins, one folder each. The agent finds them by dotted name and never imports this package itself."""
