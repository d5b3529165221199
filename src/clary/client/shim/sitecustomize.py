"""Loaded by every Python program under `clary run`: keeps AWS traffic on this machine.

Both `sagemaker` SDKs build their STS client for `https://sts.REGION.amazonaws.com` whatever `AWS_ENDPOINT_URL` says, and
notebooks fetch `https://BUCKET.s3.amazonaws.com/KEY` with plain HTTP libraries. So a connection that `http.client` or `urllib3`
(botocore, requests) opens to a host of AWS goes to Clary instead, over plain HTTP. The `Host` header stays as it was: the
signature holds, and Clary sees which service was meant. Whatever else looks up a host of AWS, or speaks to an instance's
metadata service, is refused. With CLARY_ALLOW_AWS only STS is redirected and nothing is refused.

Standard library only, and nothing is imported before the program imports it. Python's options -S, -E and -I leave
this file out.
"""

import sys


def _chain():
    """Run the `sitecustomize` that this one hides, if there is one."""
    import importlib.machinery
    import importlib.util
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    others = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


class _Gateway:
    """Where AWS's hosts are on this machine: `find_spec` lets it patch a module just after its first import."""

    modules = ("http.client", "urllib3.connection")
    domains = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
    metadata = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")

    def __init__(self, endpoint, allow_aws):
        host, _, port = endpoint.partition("://")[2].rstrip("/").rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.allow_aws = allow_aws
        self.refused = set()

    def is_aws(self, host):
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        return isinstance(host, str) and host.lower().rstrip(".").endswith(self.domains)

    def redirects(self, host):
        return self.is_aws(host) and (not self.allow_aws or host.lower().startswith("sts."))

    def find_spec(self, name, path=None, target=None):
        """An import hook: finds the module as usual, with a loader that patches it."""
        if name not in self.modules:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                self.patch_after_import(spec.loader)
                return spec
        return None

    def patch_after_import(self, loader):
        execute = loader.exec_module

        def exec_module(module):
            execute(module)
            self.patch(module)

        loader.exec_module = exec_module

    def patch(self, module):
        for connection in (module.HTTPConnection, getattr(module, "HTTPSConnection", None)):
            if connection is not None and "connect" in vars(connection):
                connection.connect = self.redirecting(connection.connect)

    def redirecting(self, connect):
        def redirected(connection):
            if self.redirects(getattr(connection, "_tunnel_host", None) or connection.host):
                self.connect(connection)
            else:
                connect(connection)

        return redirected

    def connect(self, connection):
        import socket

        connection.sock = socket.create_connection(self.address, connection.timeout)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.is_verified = True  # urllib3 warns about connections without; this one never leaves the machine

    def audit(self, event, arguments):
        """An audit hook: sees every look-up and connection of this process, also those made from C."""
        if event in ("socket.getaddrinfo", "socket.gethostbyname"):
            if self.is_aws(arguments[0]):
                self.refuse(arguments[0])
        elif event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] in self.metadata:
            self.refuse(arguments[1][0])

    def refuse(self, host):
        reason = f"clary run: refused a connection to {host}, which is not on this machine; --allow-aws lets it through"
        if host not in self.refused:
            self.refused.add(host)
            print(reason, file=sys.stderr)
        raise ConnectionRefusedError(reason)


def _install():
    import os

    endpoint = os.environ.get("CLARY_ENDPOINT")
    if not endpoint:
        return
    gateway = _Gateway(endpoint, bool(os.environ.get("CLARY_ALLOW_AWS")))
    sys.meta_path.insert(0, gateway)
    for name in gateway.modules:
        if name in sys.modules:
            gateway.patch(sys.modules[name])
    if not gateway.allow_aws:
        sys.addaudithook(gateway.audit)


_install()
_chain()
