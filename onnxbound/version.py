"""The version, which every document names."""

__version__ = "0.1.0"
