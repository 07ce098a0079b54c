"""Signed apt archives of small packages, served by a proxy on this machine that knows no other host."""

from __future__ import annotations

import hashlib
import http.server
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conftest import need


class Signer:
    """A key that signs archives; with `expired` its time was over in 2021."""

    def __init__(self, home: Path, name: str, *, expired: bool = False) -> None:
        home.mkdir(mode=0o700)
        self._gpg = [str(need("gpg")), "--homedir", str(home), "--batch", "--quiet"]
        self._gpg += ["--pinentry-mode", "loopback", "--passphrase", ""]
        self._gpg += ["--faked-system-time", "20210101T000000"] if expired else []
        made = self._run(
            "--quick-gen-key", name, "ed25519", "sign", "1d" if expired else "never", check=False
        )
        if made.returncode:
            pytest.skip(f"gpg makes no key here: {made.stderr.decode().strip()}")
        listed = self._run("--with-colons", "--list-keys").stdout.decode()
        self.fingerprint = next(row.split(":")[9] for row in listed.splitlines() if row.startswith("fpr"))
        self.public = self._run("--armor", "--export").stdout

    def sign(self, text: bytes) -> bytes:
        """`text` with its signature around it, as InRelease has it."""
        return self._run("--clearsign", stdin=text).stdout

    def close(self) -> None:
        """End gpg's agent, which would outlive the test."""
        subprocess.run(["gpgconf", "--homedir", self._gpg[2], "--kill", "all"], check=False)

    def _run(self, *words: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*self._gpg, *words], input=stdin, capture_output=True, check=check)


@dataclass(frozen=True, order=True)
class Deb:
    """An empty package, for every architecture; `postinst` is what its script of that name does."""

    name: str
    version: str
    depends: tuple[str, ...] = ()
    postinst: str = ""

    def control(self) -> str:
        depends = f"Depends: {', '.join(self.depends)}\n" if self.depends else ""
        return (
            f"Package: {self.name}\nVersion: {self.version}\nArchitecture: all\nMaintainer: nobody\n"
            f"{depends}Description: empty\n"
        )


def publish(folder: Path, suite: str, section: str, debs: Sequence[Deb], signer: Signer) -> None:
    """One suite of an archive in `folder`, with its packages in the pool."""
    stanzas = "".join(_in_pool(folder, suite, deb) for deb in debs)
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    dist, index = folder / "dists" / suite, f"{section}/binary-{architecture}/Packages"
    (dist / index).parent.mkdir(parents=True, exist_ok=True)
    (dist / index).write_text(stanzas)
    digest = hashlib.sha256(stanzas.encode()).hexdigest()
    release = (
        f"Origin: test\nSuite: {suite}\nCodename: {suite}\nArchitectures: {architecture} all\n"
        f"Components: {section}\nDate: {formatdate(usegmt=True)}\nSHA256:\n {digest} {len(stanzas)} {index}\n"
    )
    (dist / "InRelease").write_bytes(signer.sign(release.encode()))


def _in_pool(folder: Path, suite: str, deb: Deb) -> str:
    tree = folder / "tree" / f"{deb.name}_{deb.version.replace(':', '%3a')}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(deb.control())
    if deb.postinst:
        (tree / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{deb.postinst}")
        (tree / "DEBIAN/postinst").chmod(0o755)
    pool = folder / "pool" / suite
    pool.mkdir(parents=True, exist_ok=True)
    file = pool / f"{tree.name.replace('%3a', '')}.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, file], capture_output=True, check=True
    )
    content = file.read_bytes()
    return (
        f"{deb.control()}Filename: {file.relative_to(folder)}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )


@dataclass
class Web:
    """What the proxy serves: `folder`/HOST/PATH; `asked` are the addresses that it was asked for."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)

    def host(self, name: str, path: str = "") -> Path:
        return self.folder / name / path

    def put(self, address: str, files: Mapping[str, bytes]) -> None:
        """Files below an address."""
        parts = urlsplit(address)
        for name, content in files.items():
            target = self.host(parts.netloc, parts.path.lstrip("/")) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def archive(self, address: str) -> Path:
        """The folder of an address."""
        parts = urlsplit(address)
        found = self.host(parts.netloc, parts.path.strip("/"))
        found.mkdir(parents=True, exist_ok=True)
        return found


@contextmanager
def proxy(folder: Path) -> Iterator[Web]:
    """An HTTP proxy on loopback."""
    web = Web(folder)

    class Proxy(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def translate_path(self, path: str) -> str:
            parts = urlsplit(path)
            web.asked.append(path)
            return super().translate_path(f"/{parts.netloc}{parts.path}")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Proxy(*arguments, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    web.address = f"http://127.0.0.1:{server.server_port}"
    yield web
    server.shutdown()
    thread.join()
    server.server_close()
