"""Ports that nothing else takes before a test does."""

import random
import socket

# Below those that systems give to outgoing connections and to servers that ask for any.
_PORTS = range(10_000, 32_000)


def free() -> int:
    """Returns a port of this machine at which nothing listens."""
    # Not the tests' seeded numbers: two workers would draw the same port.
    ports = random.SystemRandom()
    while True:
        port = ports.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
