"""Rows: resources with names, ARNs, tags, filters and paging, in one SQLite file with group commit."""

from clary.storage.resources.migrations import NewerFormat
from clary.storage.resources.prepared import Prepared
from clary.storage.resources.store import ResourceStore
from clary.storage.resources.tables import Duplicate, Missing, Resource, metadata
from clary.storage.resources.transaction import Transaction

__all__ = ["Duplicate", "Missing", "NewerFormat", "Prepared", "Resource", "ResourceStore", "Transaction", "metadata"]
