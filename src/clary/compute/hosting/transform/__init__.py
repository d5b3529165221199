"""Batch transform: one model, every object under a prefix, one output per input. Runs outside the server.

`supervisor` watches, `program` does the work, `records` cuts inputs into payloads.
"""
