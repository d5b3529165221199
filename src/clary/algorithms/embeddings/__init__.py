"""Vectors learned for things: IP Insights."""
