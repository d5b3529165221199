"""Journeys wait for the SDKs' own sleeps most of their time, so they are started first and run beside everything else."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: HERE not in item.path.parents)
