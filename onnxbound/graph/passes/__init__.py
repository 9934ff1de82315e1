"""One normalising pass per file: each takes a graph and returns it with whether it changed and why."""
