"""Asks what answering.py offers, as one node that asks another: python3 asking.py ADDRESS WORD…

reach PORT…: JSON, `tcp/PORT` or `udp/PORT` → the address that the other end says it was asked from; a port
that nothing answers on is left out. send PORT BYTES: sends so many, reads them back, and says the largest
segment that the other end would send; exit code 1 if other bytes came back. pretend PORT SOURCE: a datagram
that says it comes from that address, which the machine must have. datagram PORT BYTES: one of that size; exit
code 1 if nothing came back. name PORT NAME: the addresses of a name, asked of a DNS server by UDP, each on
its line; exit code 1 where it has none. ping: exit code 1 if an echo request was not answered. stream PORT: a
TCP connection that never ends, and datagrams beside it; a line for each turn, `heard`, or `lost` for a
datagram without an answer.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

PATIENCE = 2.0
"""Seconds; whoever expects an answer asks again."""


def tcp(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), timeout=PATIENCE) as connection:
            return connection.makefile().readline().split()[0]
    except (OSError, IndexError):
        return ""


def udp(address: str, port: int, size: int = 1) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(PATIENCE)
        try:
            asker.connect((address, port))
            asker.send(b"?" * size)
            return asker.recv(100).decode()
        except OSError:
            return ""


def reach(address: str, ports: list[int]) -> dict[str, str]:
    with ThreadPoolExecutor(2 * len(ports)) as pool:
        asked = {
            f"{how.__name__}/{port}": pool.submit(how, address, port) for port in ports for how in (tcp, udp)
        }
        return {name: answer.result() for name, answer in asked.items() if answer.result()}


def send(address: str, port: int, size: int) -> bool:
    sent = os.urandom(size)
    with socket.create_connection((address, port), timeout=150) as connection:
        reader = connection.makefile("rb")
        sys.stdout.write(reader.readline().split()[1].decode())

        def give() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        giver = threading.Thread(target=give, daemon=True)
        giver.start()
        back = reader.read()
        giver.join()
    return back == sent


def pretend(address: str, port: int, source: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind((source, 0))
        liar.sendto(b"?", (address, port))


def ping(address: str) -> bool:
    # Echo request, its checksum, number 1 of an asker 1.
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as asker:
        asker.settimeout(PATIENCE)
        asker.connect((address, 0))
        asker.send(struct.pack(">BBHHH", 8, 0, 0xFFFF - 0x0802, 1, 1))
        try:
            answer = asker.recv(100)
        except TimeoutError:
            return False
    return answer[(answer[0] & 15) * 4] == 0


def name(address: str, port: int, asked: str) -> list[str]:
    question = b"".join(bytes([len(label)]) + label.encode() for label in asked.split(".")) + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(15)
        asker.connect((address, port))
        asker.send(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + question)
        answer = asker.recv(4096)
    # Every record's name is a pointer of two bytes, then type, class, time to live and length.
    found, rest = [], answer[12 + len(question) :]
    for _ in range(struct.unpack(">H", answer[6:8])[0]):
        kind, length = struct.unpack(">H", rest[2:4])[0], struct.unpack(">H", rest[10:12])[0]
        if kind == 1:
            found.append(socket.inet_ntoa(rest[12 : 12 + length]))
        rest = rest[12 + length :]
    return found


def stream(address: str, port: int) -> None:
    with socket.create_connection((address, port), timeout=150) as connection:
        reader = connection.makefile("rb")
        reader.readline()
        while True:
            connection.sendall(b"?")
            said = "heard" if reader.read(1) and udp(address, port) else "lost"
            sys.stdout.write(f"{said}\n")
            sys.stdout.flush()
            time.sleep(0.02)


def main() -> int:
    address, word, *numbers = sys.argv[1:]
    if word == "reach":
        sys.stdout.write(json.dumps(reach(address, [int(number) for number in numbers])))
    elif word == "pretend":
        pretend(address, int(numbers[0]), numbers[1])
    elif word == "ping":
        return 0 if ping(address) else 1
    elif word == "datagram":
        return 0 if udp(address, int(numbers[0]), int(numbers[1])) else 1
    elif word == "stream":
        stream(address, int(numbers[0]))
    elif word == "name":
        found = name(address, int(numbers[0]), numbers[1])
        sys.stdout.write("\n".join(found))
        return 0 if found else 1
    else:
        return 0 if send(address, int(numbers[0]), int(numbers[1])) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
