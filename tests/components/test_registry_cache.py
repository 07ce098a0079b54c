"""Outside the home site: two real registries, one the cache of the other, from both sites' rendered files."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.components.registry import HOME, HOME_TIMER
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.certificates import new_authority
from constructs_lib.spec.model import ClusterSpec
from tests.components.registry_here import MANIFEST, PASSWORD, Registry
from tests.conftest import need, tool
from tests.lab.asking import LONG, until
from tests.nodes.clusters import HYBRID

pytestmark = pytest.mark.slow
UPSTREAM = "registry.service.eu.consul:5000"


def files_of(site: str, source: str = "apt", **software: Any) -> NodeFiles:
    spec: dict[str, Any] = copy.deepcopy(HYBRID)
    spec["software"] = {"components": {"registry": {"source": source}}, **software}
    planned = plan(ClusterSpec.model_validate(spec)).site(site)
    return render(planned, planned.nodes_of(Role.CONSUL)[0])


class Sites:
    """The home site's registry, and the cache; systemctl writes down what it was asked for."""

    def __init__(self, folder: Path, program: Path) -> None:
        authority = new_authority("cluster_authority")
        self.home = Registry(folder / "home", files_of("eu"), authority)
        here = {UPSTREAM: f"localhost:{self.home.port}", HOME: str(folder / "cache/registry-home")}
        self.cache = Registry(folder / "cache", files_of("dc1"), authority, here)
        self.home.program = self.cache.program = program
        self.asked = folder / "cache/systemctl"
        self.cache.put("/registry-home", self.cache.text(HOME)).chmod(0o755)
        self.cache.put("/doubles/systemctl", f'#!/bin/sh\n# Double.\necho "$*" >>{self.asked}\n').chmod(0o755)

    def watch(self) -> list[str]:
        """What the timer's service asks systemctl for."""
        self.asked.write_text("")
        done = self.cache.run(HOME, "watch")
        assert done.returncode == 0, done.stderr
        return self.asked.read_text().splitlines()

    def restart_cache(self) -> None:
        self.cache.stop()
        # As systemd does with a unit's RuntimeDirectory.
        (self.cache.folder / "run/registry/alone").unlink(missing_ok=True)
        self.cache.start()


@pytest.fixture(params=["image", "apt"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sites]:
    """By the registry of the nodes' image, and by the distribution's."""
    for program in ("htpasswd", "curl"):
        need(program)
    made = Sites(tmp_path, tool("registry") if request.param == "image" else need("docker-registry"))
    try:
        made.home.start()
        made.cache.start()
        yield made
    finally:
        made.cache.stop()
        made.home.stop()


def pulls(registry: Registry, name: str, reference: str, layer: str) -> tuple[int, int]:
    """Status of the manifest and of the layer; what was pulled is kept when this is done."""
    found = (
        registry.ask("GET", f"/v2/{name}/manifests/{reference}", Accept=MANIFEST)[0],
        registry.ask("GET", f"/v2/{name}/blobs/{layer}")[0],
    )
    if found == (200, 200):
        # The cache of 2.8 answers first and writes after.
        place = f"srv/data/registry/docker/registry/v2/repositories/{name}/_layers"
        kept = registry.folder / place / layer.replace(":", "/") / "link"
        until(f"{kept} is there", LONG, kept.exists)
    return found


def digest_of(registry: Registry, name: str) -> str:
    return str(registry.ask("HEAD", f"/v2/{name}/manifests/1", Accept=MANIFEST)[1]["Docker-Content-Digest"])


def test_an_image_of_the_home_site_is_pulled_through_the_cache(sites: Sites) -> None:
    layer = sites.home.push_image("shop/web")

    assert pulls(sites.cache, "shop/web", "1", layer) == (200, 200)


def test_the_cache_demands_the_login_too(sites: Sites) -> None:
    sites.home.push_image("shop/web")

    for password in (None, "wrong"):
        assert sites.cache.ask("GET", "/v2/shop/web/manifests/1", password=password)[0] == 401


def test_a_push_is_refused_by_the_cache(sites: Sites) -> None:
    assert sites.cache.ask("POST", "/v2/shop/web/blobs/uploads/")[0] == 405


def test_what_was_pulled_is_served_while_the_home_site_is_away_and_the_rest_when_it_is_back(
    sites: Sites,
) -> None:
    layer, other = sites.home.push_image("shop/web"), sites.home.push_image("shop/api")
    assert pulls(sites.cache, "shop/web", "1", layer) == (200, 200)
    digest = digest_of(sites.home, "shop/web")

    sites.home.stop()

    assert pulls(sites.cache, "shop/web", "1", layer) == (200, 200)
    assert pulls(sites.cache, "shop/web", digest, layer) == (200, 200)
    assert sites.cache.ask("GET", "/v2/shop/api/manifests/1", Accept=MANIFEST)[0] == 404

    sites.home.start()
    assert pulls(sites.cache, "shop/api", "1", other) == (200, 200)


def test_a_cache_that_starts_while_the_home_site_is_away_serves_what_it_has(sites: Sites) -> None:
    layer, other = sites.home.push_image("shop/web"), sites.home.push_image("shop/api")
    assert pulls(sites.cache, "shop/web", "1", layer) == (200, 200)
    digest = digest_of(sites.home, "shop/web")
    sites.home.stop()

    sites.restart_cache()

    assert pulls(sites.cache, "shop/web", "1", layer) == (200, 200)
    assert pulls(sites.cache, "shop/web", digest, layer) == (200, 200)
    assert sites.cache.ask("GET", "/v2/shop/api/manifests/1", Accept=MANIFEST)[0] == 404
    assert sites.cache.ask("GET", "/v2/shop/web/manifests/1", password=None)[0] == 401
    assert sites.cache.ask("POST", "/v2/shop/web/blobs/uploads/")[0] == 405
    assert sites.watch() == []
    sites.home.start()
    assert sites.watch() == ["try-restart docker-registry"]
    sites.restart_cache()
    assert pulls(sites.cache, "shop/api", "1", other) == (200, 200)


def test_the_cache_deletes_a_layer_a_month_after_it_fetched_it_or_a_week_where_it_knows_no_other_time(
    sites: Sites,
) -> None:
    layer = sites.home.push_image("shop/web")
    pulls(sites.cache, "shop/web", "1", layer)

    # Written every few seconds.
    state = sites.cache.folder / "srv/data/registry/scheduler-state.json"
    until("its end is written down", LONG, lambda: state.exists() and layer in state.read_text())

    [end] = [entry["ExpiryData"] for name, entry in json.loads(state.read_text()).items() if layer in name]
    days = (datetime.fromisoformat(end) - datetime.now(UTC)).days
    assert days in ((29, 30) if sites.cache.program == tool("registry") else (6, 7))


def test_a_cache_is_started_anew_once_when_the_home_site_goes_away_and_once_when_it_is_back(
    sites: Sites,
) -> None:
    assert sites.watch() == []

    sites.home.stop()
    assert sites.watch() == ["try-restart docker-registry"]
    sites.restart_cache()
    assert sites.watch() == []

    sites.home.start()
    assert sites.watch() == ["try-restart docker-registry"]
    sites.restart_cache()
    assert sites.watch() == []


def test_where_the_registry_does_not_run_nothing_is_started(sites: Sites) -> None:
    sites.home.stop()
    (sites.cache.folder / "run/registry/registry.yml").unlink()

    assert sites.watch() == []


def test_the_password_is_in_no_file_that_others_may_read_and_in_no_log(sites: Sites) -> None:
    layer = sites.home.push_image("shop/web")
    pulls(sites.cache, "shop/web", "1", layer)
    sites.home.stop()
    sites.cache.ask("GET", "/v2/shop/api/manifests/1", Accept=MANIFEST)

    holding = [path for path in sites.cache.folder.rglob("*") if path.is_file() and holds(path)]

    assert {path.relative_to(sites.cache.folder).as_posix() for path in holding} == {
        "etc/registry/password",
        "run/registry/registry.yml",
    }
    assert (sites.cache.folder / "run/registry/registry.yml").stat().st_mode & 0o007 == 0
    assert not any(PASSWORD in file.content for file in sites.cache.files.files)


def holds(path: Path) -> bool:
    return PASSWORD.encode() in path.read_bytes()


def test_only_the_home_sites_registry_collects_garbage_and_only_caches_look_for_it() -> None:
    home, cache = files_of("eu"), files_of("dc1")

    def units(files: NodeFiles) -> tuple[str, ...]:
        return next(stage.units for stage in files.stages if stage.component == "registry")

    assert units(home) == ("docker-registry.service", "registry-gc.timer")
    assert units(cache) == ("docker-registry.service", HOME_TIMER)
    assert not any("registry-gc" in file.path for file in cache.files)
    assert not any("registry-home" in file.path for file in home.files)


def test_from_an_image_it_trusts_the_clusters_authority_and_asks_past_the_proxy() -> None:
    unit = (
        files_of("dc1", "image", proxy="http://proxy.example.org:3128")
        .file("/etc/systemd/system/docker-registry.service")
        .content
    )

    assert "NO_PROXY=.consul\n" in unit
    assert "--env NO_PROXY " in unit
    assert "Environment=SSL_CERT_FILE=/usr/local/share/ca-certificates/clustermesos.crt\n" in unit
    assert "--env SSL_CERT_FILE --volume /usr/local/share/ca-certificates:" in unit


def test_every_docker_of_the_site_asks_the_cache_by_the_one_name() -> None:
    services = json.loads(files_of("dc1").file("/etc/consul.d/consul.json").content)["services"]

    assert [(service["name"], service["port"]) for service in services] == [("registry", 5000)]
