"""Leads a Unix socket to a port of the machine's own loopback, as the operator's ssh does: python3 passing.py
SOCKET PORT. A file reaches out of a network namespace, and a port does not."""

from __future__ import annotations

import asyncio
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    path, port = sys.argv[1:]

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", int(port))
        await asyncio.gather(copy(reader, back), copy(there, writer))

    async with await asyncio.start_unix_server(lead, path) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
