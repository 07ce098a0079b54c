"""Answers on every port that it is given: python3 answering.py PORT…

TCP: a first line, `PEER MSS`, then back what came, until the other side is done. UDP: `PEER`. A line for each
on standard output too, so that what nobody hears an answer to is seen as well.
"""

from __future__ import annotations

import selectors
import socket
import sys
import threading


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def talk(connection: socket.socket, peer: str) -> None:
    with connection:
        largest = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        connection.sendall(f"{peer} {largest}\n".encode())
        while data := connection.recv(65536):
            connection.sendall(data)


def main() -> None:
    selector = selectors.DefaultSelector()
    for port in map(int, sys.argv[1:]):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(socket.AF_INET, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("0.0.0.0", port))
            if kind is socket.SOCK_STREAM:
                listener.listen(64)
            selector.register(listener, selectors.EVENT_READ)
    say("listens")
    while True:
        for event, _ in selector.select():
            listener = event.fileobj  # type: ignore[assignment]  # only sockets were registered
            if listener.type is socket.SOCK_DGRAM:
                _, (peer, port) = listener.recvfrom(65536)
                listener.sendto(peer.encode(), (peer, port))
            else:
                connection, (peer, port) = listener.accept()
                threading.Thread(target=talk, args=(connection, peer), daemon=True).start()
            say(peer)


if __name__ == "__main__":
    main()
