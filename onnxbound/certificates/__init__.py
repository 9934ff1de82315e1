"""Statements about the error on new rows, and the proof that they hold."""
