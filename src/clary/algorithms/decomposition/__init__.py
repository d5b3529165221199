"""Fewer columns for the same rows."""
