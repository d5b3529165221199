"""What `clary run` and `clary env` give to client programs. Needs no server code: an address is enough."""

from clary.client.environment import Changes, Credentials, environment, shim
from clary.client.running import RunningServer, find

__all__ = ["Changes", "Credentials", "RunningServer", "environment", "find", "shim"]
