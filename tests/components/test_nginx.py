"""The edge's nginx.conf, checked and run by the real nginx; only ports and folders are rewritten."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from scripts.embedded_aws import free_port
from tests.conftest import need
from tests.nodes.clusters import site


class Edge:
    def __init__(self, folder: Path) -> None:
        self.folder, self.http, self.health = folder, free_port(), free_port()
        planned = site("whole")
        text = render(planned, planned.nodes_of(Role.EDGE)[0]).file("/etc/nginx/nginx.conf").content
        for old, new in (
            ("user www-data;", ""),
            ("listen 80 ", f"listen 127.0.0.1:{self.http} "),
            ("listen 8088;", f"listen 127.0.0.1:{self.health};"),
            ("/run/nginx.pid", f"{folder}/nginx.pid"),
            ("/var/log/nginx", str(folder)),
            ("/etc/nginx/conf.d", f"{folder}/conf.d"),
        ):
            assert old in text
            text = text.replace(old, new)
        self.conf = folder / "nginx.conf"
        self.conf.write_text(text)

    def command(self, *arguments: str) -> list[str]:
        log = str(self.folder / "start.log")
        return [str(need("nginx")), "-e", log, "-p", str(self.folder), "-c", str(self.conf), *arguments]

    def get(self, port: int, path: str) -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    edge = Edge(tmp_path)
    server = subprocess.Popen(edge.command("-g", "daemon off;"), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while not (tmp_path / "nginx.pid").exists():
        assert server.poll() is None and time.monotonic() < end, (tmp_path / "start.log").read_text()
        time.sleep(0.05)
    yield edge
    server.terminate()
    server.wait(timeout=60)


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    done = subprocess.run(Edge(tmp_path).command("-t"), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_visitors_are_told_that_nothing_is_routed_yet_whatever_they_ask_for(edge: Edge) -> None:
    for path in ("/", "/healthz", "/any/thing"):
        assert edge.get(edge.http, path) == (503, "no application is routed here yet\n")


def test_the_load_balancer_gets_an_answer_and_nothing_else(edge: Edge) -> None:
    assert edge.get(edge.health, "/healthz") == (200, "ok\n")
    assert edge.get(edge.health, "/")[0] == 404
