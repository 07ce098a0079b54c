"""A small SNTP server that is wrong by as much as it is told: ``python time_server.py ADDRESS SECONDS``."""

from __future__ import annotations

import socket
import struct
import sys
import time

PORT = 123
PACKET = struct.Struct("!BBbb11I")
"""RFC 5905, section 7.3: 48 bytes; the four time stamps are two words each."""
SERVER, CLIENT_MODE = 0o44, 3
"""Version 4 and mode 4, no leap second."""
STRATUM, PRECISION = 1, -20
REFERENCE_ID = int.from_bytes(b"LAB\0", "big")
SINCE_1900 = 2_208_988_800


def stamp(moment: float) -> tuple[int, int]:
    """Seconds since 1900, and the fraction in 2**-32 s."""
    seconds, fraction = divmod(moment + SINCE_1900, 1)
    return int(seconds) % 2**32, int(fraction * 2**32)


def answer(question: bytes, wrong_by: float, now: float) -> bytes | None:
    """What a server says whose clock is `wrong_by` seconds ahead; None to what is no client's question."""
    if len(question) < PACKET.size or question[0] & 7 != CLIENT_MODE:
        return None
    here = stamp(now + wrong_by)
    asked = PACKET.unpack_from(question)[-2:]
    return PACKET.pack(SERVER, STRATUM, 6, PRECISION, 0, 0, REFERENCE_ID, *here, *asked, *here, *here)


def main(address: str, wrong_by: float) -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, PORT))
        while True:
            question, client = server.recvfrom(1024)
            said = answer(question, wrong_by, time.time())
            if said:
                server.sendto(said, client)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
