"""`zk://user:password@host:port,host:port/path`, as Mesos and Marathon read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ZkUrl:
    """Where an ensemble is, whom to be there and below which path to work.

    Attributes:
        servers: `host:port,host:port`.
        path: at least `/` and one name.
        user: the name of digest authentication, or None.
        password: its password, never to be printed.
    """

    servers: str
    path: str
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        secret = f"{self.user}:***@" if self.user is not None else ""
        return f"zk://{secret}{self.servers}{self.path}"

    def __repr__(self) -> str:
        return f"ZkUrl({self})"

    def below(self, name: str) -> str:
        """The path of `name` below this one's."""
        return f"{self.path}/{name}"


def parse_zk_url(text: str) -> ZkUrl:
    """The parts of a URL; space around it does not count.

    Raises:
        ValueError: in Mesos' words; the text holds no password.
    """
    text = text.strip()
    if not text.startswith("zk://"):
        raise ValueError("Expecting 'zk://' at the beginning of the URL")
    where, slash, path = text.removeprefix("zk://").partition("/")
    if "@" in path:  # a password with a slash: Mesos cuts there as well
        raise ValueError("a '/' in the user or password ends the servers: it has no place there")
    path = (slash + path).rstrip("/")
    if not path:
        raise ValueError("Expecting a (chroot) path for ZooKeeper ('/' is not supported)")
    login, at, servers = where.rpartition("@")
    if not _are_servers(servers):
        raise ValueError(f"the servers have to be host:port,host:port…, got '{servers}'")
    if not at:
        return ZkUrl(servers, path)
    user, colon, password = login.partition(":")
    if not colon or not user or not password:
        raise ValueError("the authentication has to be user:password, before the '@'")
    return ZkUrl(servers, path, user, password)


def _are_servers(text: str) -> bool:
    for server in text.split(","):
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "2181")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            return False
    return True
