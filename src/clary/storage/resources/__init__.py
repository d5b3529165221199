"""Rows: resources with names, ARNs, tags, filters and paging, in one SQLite file with group commit."""

from clary.storage.resources.migrations import NewerFormat
from clary.storage.resources.store import ResourceStore
from clary.storage.resources.tables import Connection, Duplicate, Missing, Resource, table_names
from clary.storage.resources.transaction import Transaction

__all__ = ["Connection", "Duplicate", "Missing", "NewerFormat", "Resource", "ResourceStore", "Transaction", "table_names"]
