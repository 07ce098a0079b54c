"""What travels beside user data: which files, as one text."""

from __future__ import annotations

import pytest

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, File
from constructs_lib.components.platform_backup import PARTS
from constructs_lib.errors import RenderError
from constructs_lib.libvirt.secrets import DISK
from constructs_lib.nodes import carried as module
from constructs_lib.nodes.carried import bundle, carried
from constructs_lib.nodes.cloud_init import PROGRAM
from constructs_lib.openstack.secrets import CARRIED_PATHS, LONGEST_FILE
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.carried import part_size, size_in_base64
from tests.components.platform_backup_here import planned
from tests.nodes.clusters import site

BACKUPS = {
    "/usr/local/sbin/platform-backup",
    *(f"{PARTS}/{component}" for component in ("zookeeper", "consul", "registry")),
}


def declared(monkeypatch: pytest.MonkeyPatch, template: str, to: str = "/etc/x") -> SitePlan:
    """The plan of a cluster whose one component has that file carried."""
    one = Component(
        name="zookeeper",
        summary="x",
        roles=(),
        software=None,
        files=(File(template, to=to, carried=True),),
    )
    monkeypatch.setattr(module, "COMPONENTS", (one,))
    return site("whole")


def test_the_program_comes_first_and_scripts_of_backups_where_there_are_any() -> None:
    without, with_backups = carried(site("whole")), carried(planned())

    assert next(iter(without)) == PROGRAM
    assert with_backups.keys() - without.keys() == BACKUPS
    assert not without.keys() - with_backups.keys()


def test_each_file_of_a_bundle_follows_a_line_with_its_path() -> None:
    assert bundle({"/a": "one\n", "/b": "two\nthree\n"}) == "#:/a\none\n#:/b\ntwo\nthree\n"


def test_a_file_that_is_rendered_for_each_node_can_not_be_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RenderError, match=r"cloud-init/zookeeper/zoo\.cfg\.j2: it is rendered for each node"):
        carried(declared(monkeypatch, "zoo.cfg.j2"))
    with pytest.raises(RenderError, match="it is rendered for each node"):
        carried(declared(monkeypatch, "backup", to="/etc/{{ node_name }}"))


def test_scripts_that_are_carried_name_the_folder_that_their_component_keeps_its_state_in() -> None:
    texts = carried(planned())
    for component in COMPONENTS:
        if component.backup and component.name != "consul":
            assert f"\nstate={component.state}\n" in texts[f"{PARTS}/{component.name}"]


def test_with_backups_too_every_part_is_one_that_nova_takes_and_a_disk_of_secrets_has_room() -> None:
    found = planned()

    assert part_size(found, len(CARRIED_PATHS)) < LONGEST_FILE * 0.8
    assert size_in_base64(found) < DISK / 2
