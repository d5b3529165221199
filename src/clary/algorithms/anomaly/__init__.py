"""Estimators that find what is unusual, and what is dense."""
