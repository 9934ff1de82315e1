"""Mutated files against the readers: every input has to end in a result, or in an error with a code."""
