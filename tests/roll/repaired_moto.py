"""moto, an AWS API double, with three faults repaired that no replaced machine gets past. Run as a
script.

moto 5.2.5 keeps the private address of a terminated instance taken, where AWS gives it to the next one at
once; it does not decode the user data of a launch template's later versions, as it does that of the
first, so that a group can't launch from them; and it says of every machine of a group that it was made
from the template's default version, where AWS names the one that it was made from.
"""

from __future__ import annotations

from typing import Any

from moto.autoscaling.models import InstanceState
from moto.ec2.models.instances import Instance
from moto.ec2.models.launch_templates import LaunchTemplate, LaunchTemplateVersion
from moto.ec2.utils import parse_user_data
from moto.server import main

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


def create_version(self: Any, data: dict[str, Any], description: str) -> LaunchTemplateVersion:
    """As before, with the user data decoded as the first version's is."""
    if isinstance(data.get("UserData"), str | bytes):
        data["UserData"] = parse_user_data(data["UserData"])
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


if __name__ == "__main__":
    Instance.terminate = terminate
    LaunchTemplate.create_version = create_version
    InstanceState.__init__ = remember
    InstanceState.launch_template = property(launch_template)
    main()
