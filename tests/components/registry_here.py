"""A real registry, started from the rendered file; only addresses and folders are rewritten."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from constructs_lib.components.consul import AUTHORITY_PATH
from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.certificates import certificate_alone, new_authority, new_certificate
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.conftest import need, tool
from tests.nodes.clusters import WHOLE

PASSWORD = "not-a-real-password"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

SOFTWARE: dict[str, dict[str, object]] = {"image": {}, "apt": {"registry": {"source": "apt"}}}
"""Whence a node has its registry → that in cluster.yaml."""


def planned(
    software: dict[str, object] | None = None, consul: int = 1, proxy: str | None = None, **registry: object
) -> SitePlan:
    settings = json.loads(json.dumps(WHOLE))
    settings["sites"]["eu"] |= {"registry": registry, "consul": {"count": consul}}
    components = SOFTWARE["apt"] if software is None else software
    settings["software"] = {"components": components, "proxy": proxy}
    return plan(ClusterSpec.model_validate(settings)).site("eu")


def files_of(site: SitePlan, number: int = 1) -> NodeFiles:
    return render(site, site.nodes_of(Role.CONSUL)[number - 1])


DOCKER = """while [ "${{1%:*}}" != registry ]; do
  case $1 in *=*) export "$1" ;; esac
  shift
done
shift
exec {program} "$@"
"""
"""Runs what the image would run, with the variables that it is given."""


def program_of(source: str) -> Path:
    """The program of the nodes' image, or the distribution's."""
    return tool("registry") if source == "image" else need("docker-registry")


class PastTheLogin(urllib.request.HTTPRedirectHandler):
    """Follows to where a layer lies without the registry's password, as Docker and curl do."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following:
            following.remove_header("Authorization")
        return following


class Registry:
    """The registry of a Consul node below `folder`."""

    def __init__(
        self,
        folder: Path,
        files: NodeFiles | None = None,
        authority: str = "",
        others: Mapping[str, str] = {},
    ) -> None:
        """`others`: what stands in rendered files → what is here instead of it."""
        self.folder, self.files, self.others = folder, files or files_of(planned()), others
        self.port, self.metrics = free_port(), free_port()
        self.program: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        authority = authority or new_authority("cluster_authority")
        for path in ("etc/registry", "run/registry", "srv/data/registry", "doubles"):
            (folder / path).mkdir(parents=True)
        self.put("/etc/authority.crt", certificate_alone(authority))
        self.put("/etc/registry/registry.pem", new_certificate(authority, ["registry.service.consul"]))
        self.put("/etc/registry/password", PASSWORD)
        self.put("/etc/registry/registry.yml", self.text("/etc/registry/registry.yml"))
        self.put("/doubles/chgrp", "#!/bin/sh\n# Double of chgrp: there is no group registry here.\n").chmod(
            0o755
        )
        self.context = ssl.create_default_context(cadata=certificate_alone(authority))

    def text(self, path: str) -> str:
        """A rendered file with this machine's places and ports."""
        text = self.files.file(path).content
        for name, place in self.others.items():
            text = text.replace(name, place)
        text = text.replace(AUTHORITY_PATH, "/etc/authority.crt")
        text = re.sub(r"(?<![\w/])/(etc|run|srv)/", rf"{self.folder}/\1/", text)
        return text.replace("addr: :5000", f"addr: 127.0.0.1:{self.port}").replace(
            ":5001", f":{self.metrics}"
        )

    def put(self, path: str, text: str) -> Path:
        place = self.folder / path.lstrip("/")
        place.write_text(text)
        return place

    def complete(self) -> None:
        """Run the unit's ExecStartPre."""
        self.run("/usr/local/libexec/registry-config", check=True)

    def run(self, script: str, *words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a script of the node, and whatever scripts it runs."""
        environment = os.environ | {"PATH": f"{self.folder / 'doubles'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", self.text(script), script, *words],
            check=check,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )

    def collect(self) -> subprocess.CompletedProcess[str]:
        """Run registry-gc; systemctl writes down when the registry was read-only, runuser runs as we are."""
        flag, said = self.folder / "run/registry-readonly", self.restarts
        program = self.program or need("docker-registry")
        doubles = {
            "systemctl": f'[ -e {flag} ] && echo "$* read-only" >>{said} || echo "$*" >>{said}',
            "runuser": 'shift 3; exec "$@"',
            "docker": DOCKER.format(program=program),
            "docker-registry": f'exec {program} "$@"',
        }
        for name, script in doubles.items():
            self.put(f"/doubles/{name}", f"#!/bin/sh\n# Double of {name}.\n{script}\n").chmod(0o755)
        return self.run("/usr/local/sbin/registry-gc")

    @property
    def restarts(self) -> Path:
        """What registry-gc asked systemctl for, where it did."""
        return self.folder / "restarts"

    def start(self) -> None:
        self.complete()
        program = self.program or need("docker-registry")
        command = [str(program), "serve", str(self.folder / "run/registry/registry.yml")]
        unit = self.text("/etc/systemd/system/docker-registry.service")
        named = re.findall(r"(?m)^Environment=(\S+)$|--env (\w+=\S+)", unit)
        given = dict("".join(either).split("=", 1) for either in named)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | given)
        end = time.monotonic() + 180
        # The port of its health is open before that of the images.
        while self.health() != 200 or not self.listens():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=180)

    def health(self) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics}/debug/health", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    def listens(self) -> bool:
        try:
            return self.ask("GET", "/v2/", password=None)[0] in (200, 401)
        except OSError:
            return False

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        password: str | None = PASSWORD,
        **headers: str,
    ) -> tuple[int, Any]:
        request = self._request(path, password, body, method)
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with self._opener().open(request, timeout=180) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers

    def _opener(self) -> urllib.request.OpenerDirector:
        without_proxy = urllib.request.ProxyHandler({})
        https = urllib.request.HTTPSHandler(context=self.context)
        return urllib.request.build_opener(without_proxy, https, PastTheLogin())

    def content(self, path: str, password: str | None = PASSWORD) -> bytes:
        """What a puller gets, wherever the registry sends it for that."""
        with self._opener().open(self._request(path, password), timeout=180) as answer:
            return bytes(answer.read())

    def _request(
        self, path: str, password: str | None, body: bytes | None = None, method: str = "GET"
    ) -> urllib.request.Request:
        url = path if path.startswith("https:") else f"https://localhost:{self.port}{path}"
        request = urllib.request.Request(url, body, method=method)
        if password is not None:
            word = base64.b64encode(f"cluster:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        return request

    def push_blob(self, name: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _, headers = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        place = f"{headers['Location']}&digest={digest}"
        assert self.ask("PUT", place, content, Content_Type="application/octet-stream")[0] == 201
        return digest

    def push_image(self, name: str) -> str:
        """An image of one layer; the layer's digest."""
        layer, config = f"the layer of {name}".encode(), b"{}"
        described = [
            {"mediaType": kind, "size": len(content), "digest": self.push_blob(name, content)}
            for kind, content in (
                ("application/vnd.docker.container.image.v1+json", config),
                ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer),
            )
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described[0],
            "layers": described[1:],
        }
        body = json.dumps(manifest).encode()
        assert self.ask("PUT", f"/v2/{name}/manifests/1", body, Content_Type=MANIFEST)[0] == 201
        return str(described[1]["digest"])
