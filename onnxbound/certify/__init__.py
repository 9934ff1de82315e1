"""A network written down in bits, and the bound that follows from their number."""
