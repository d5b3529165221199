"""Grouping rows without labels."""
