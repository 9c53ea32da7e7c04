"""What the commands of `rebellion` do, one module a group. Each imports what it needs when it runs."""
