"""Can every machine of a cluster open a connection to every other, at the port where processes will meet?

    python -m launch.cluster.reach '{"port": 23817, "peers": ["a", "b"], "seconds": 8}'     (on all machines at once)

Each listens there and connects to all; it says `{"a": "", "b": "timed out"}`. A firewall that is closed on one side
only, or a route that leads one way, shows in one line here and hangs a training for minutes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Sequence

GREETING = b"kmask\n"
TRY_SECONDS = 1.0


def reach(port: int, peers: Sequence[str], seconds: float) -> dict[str, str]:
    """Listen and connect until all peers were reached or the time is over; why not, by peer.

    Raises:
        OSError: the port is taken on this machine.
    """
    deadline = time.monotonic() + seconds
    listener = socket.create_server(("", port), backlog=len(peers) + 8)
    listener.settimeout(0.2)
    ended, greeted = threading.Event(), 0

    def greet() -> None:
        nonlocal greeted
        while not ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(GREETING)
                    greeted += 1

    greeter = threading.Thread(target=greet, daemon=True)
    greeter.start()
    found = dict.fromkeys(peers, "not tried")
    while any(found.values()) and time.monotonic() < deadline:
        for peer in [name for name, why in found.items() if why]:
            found[peer] = why_not(peer, port)
        time.sleep(0.2)
    while greeted < len(peers) and time.monotonic() < deadline:  # the others may be later
        time.sleep(0.1)
    ended.set()
    greeter.join(2)
    listener.close()
    return found


def why_not(peer: str, port: int) -> str:
    """Why a peer cannot be reached; empty when it can."""
    try:
        with socket.create_connection((peer, port), timeout=TRY_SECONDS) as connection:
            return "" if connection.recv(len(GREETING)) == GREETING else "something else listens there"
    except OSError as error:
        return error.strerror or str(error)


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    try:
        print(json.dumps(reach(asked["port"], asked["peers"], asked["seconds"])))
    except OSError as error:
        print(json.dumps({"": f"port {asked['port']}: {error.strerror}"}))
