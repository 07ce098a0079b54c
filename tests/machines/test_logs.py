"""Log shipping from a machine that booted while its collector was away."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, says

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
COLLECTOR = """
import os, socket, threading
server = socket.create_server(("10.67.0.1", 5514))
def read(connection):
    for line in connection.makefile("r", errors="replace"):
        if "line-of-the-test" in line:
            print(line, flush=True)
            os._exit(0)
while True:
    threading.Thread(target=read, args=(server.accept()[0],)).start()
"""


def test_what_a_node_said_while_nobody_listened_arrives(machines: KeptLab) -> None:
    says(machines, "consul-1", "systemd-run", "--wait", "--unit=spoke", "echo", "line-of-the-test")

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(machines.reach, None, sys.executable, "-c", COLLECTOR, timeout=LONG).result()

    assert done.code == 0 and "consul-1" in done.out, done.out + done.err
