"""One module per built-in algorithm; each has an `ALGORITHM`."""
