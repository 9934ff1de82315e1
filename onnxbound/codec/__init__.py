"""A network as a string of bytes that is its own end, and back: what a certificate counts."""
