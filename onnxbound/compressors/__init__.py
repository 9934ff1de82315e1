"""Smaller networks that compute almost the same."""
