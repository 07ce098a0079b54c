"""moto, an AWS API double, with seven of its faults repaired. Its command line is moto_server's.

What moto 5.2.5 does otherwise than AWS, and why no life of a cluster gets past it:

* the private address of a terminated instance stays taken: AWS gives it to the next one at once;
* it does not decode the user data of a launch template's later versions, as it does that of the first, so
  that a group can't launch from them;
* it says of every machine of a group that it was made from the template's default version: AWS names the one
  that it was made from;
* it keeps the security groups of an instance at its network interface and reports none for the instance, so
  that every plan wants to set them again;
* it reports a launch template's own tags as one more kind of tag specification inside of it, so that every
  plan wants a new version;
* it gives a machine of a launch template two root volumes, and the first outlives it;
* a group that is deleted by force leaves the machines behind that are protected from scale-in: AWS ends all.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import AutoScalingBackend, InstanceState
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data
from moto.server import main

_add_block_device = Instance.add_block_device
_delete_group = AutoScalingBackend.delete_auto_scaling_group
_terminate = Instance.terminate
_create_version = LaunchTemplate.create_version
_remember = InstanceState.__init__
_launch_template = InstanceState.launch_template


def terminate(self: Any) -> Any:
    """As before, and the address is free."""
    before = _terminate(self)
    if self.subnet_id:
        subnet = self.ec2_backend.get_subnet(self.subnet_id)
        for address in self._private_ips:
            subnet.del_subnet_ip(address)
    # Else its end, much later, would free the address of the one that has it by then.
    self._private_ips = set()
    return before


def groups(self: Any) -> list[Any]:
    """The instance's own security groups, or those of its first network interface."""
    if self.own_groups or not getattr(self, "nics", None):  # not yet, while it is being made
        return list(self.own_groups)
    return sorted(self.nics[0]._group_set, key=lambda group: str(group.id))


def give_groups(self: Any, own: list[Any]) -> None:
    """Take the groups that the instance was started with, or was given later."""
    self.own_groups = own


def create_version(self: Any, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """As before, with the user data decoded and without the template's own tags."""
    if isinstance(data.get("UserData"), str | bytes):
        data["UserData"] = parse_user_data(data["UserData"])
    if "TagSpecifications" in data:
        data["TagSpecifications"] = [
            tags for tags in data["TagSpecifications"] if tags.get("ResourceType") != "launch-template"
        ]
    return _create_version(self, data, description)


def remember(self: Any, instance: Any, *arguments: Any, **options: Any) -> None:
    """As before, with the version that the group launches from now."""
    _remember(self, instance, *arguments, **options)
    group = instance.autoscaling_group
    template = group.ec2_launch_template
    self.launched_from = template and template.get_version(group.launch_template_version).number


def launch_template(self: Any) -> dict[str, Any] | None:
    """As before, with that version."""
    described: dict[str, Any] | None = _launch_template.fget(self)
    return described and described | {"Version": self.launched_from}


def add_block_device(self: Any, size: int, device_path: str, *arguments: Any, **options: Any) -> None:
    """As before, and the volume that was in its place is gone."""
    former = self.block_device_mapping.get(device_path)
    if former is not None:
        self.ec2_backend.detach_volume(former.volume_id, self.id, device_path)
        self.ec2_backend.delete_volume(former.volume_id)
    _add_block_device(self, size, device_path, *arguments, **options)


def delete_group(self: Any, group_name: str) -> None:
    """As before, with no machine protected: Terraform deletes by force or when none is left."""
    group = self.autoscaling_groups.get(group_name)
    for machine in group.instance_states if group else ():
        machine.protected_from_scale_in = False
    _delete_group(self, group_name)


if __name__ == "__main__":
    AutoScalingBackend.delete_auto_scaling_group = delete_group
    Instance.add_block_device = add_block_device
    Instance.terminate = terminate
    Instance.security_groups = property(groups, give_groups)
    LaunchTemplate.create_version = create_version
    InstanceState.__init__ = remember
    InstanceState.launch_template = property(launch_template)
    main()
