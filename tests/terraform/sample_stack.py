"""A stack with everything this package makes; run as a program, it writes ./cdktf.out."""

from __future__ import annotations

from constructs_lib.terraform import (
    App,
    Construct,
    DataSource,
    Output,
    Provider,
    Resource,
    TerraformStack,
    Variable,
    literal,
    local_backend,
)


def sample_stack(app: App) -> TerraformStack:
    stack = TerraformStack(app, "sample")
    local_backend(stack, "../../../state/sample.tfstate")
    Provider(stack, "aws", "aws", source="hashicorp/aws", version="3.39.0", region="eu-west-3")
    west = Provider(stack, "west", "aws", source="hashicorp/aws", region="us-west-1", alias="west")
    demo = Construct(stack, "demo")
    vpc = Resource(demo, "vpc", "aws_vpc", cidr_block="10.20.0.0/16", tags={"Name": "demo"})
    subnet = Resource(demo, "subnet", "aws_subnet", vpc_id=vpc.ref("id"), cidr_block="10.20.1.0/24")
    ami = DataSource(demo, "ami", "aws_ami", owners=["099720109477"], most_recent=True, provider=west)
    nodes = {
        f"master-{number}": {"ip": f"10.20.1.1{number}", "text": literal('#!/bin/sh\necho "${HOME}"\n')}
        for number in (1, 2, 3)
    }
    masters = Resource(
        demo, "masters", "aws_instance",
        for_each=nodes,
        ami=ami.ref("id"),
        instance_type="m5.large",
        subnet_id=subnet.ref("id"),
        private_ip="${each.value.ip}",
        user_data_base64="${base64gzip(each.value.text)}",
        root_block_device={"encrypted": True, "volume_size": 20},
        dynamic={
            "ebs_block_device": {
                "for_each": "${var.devices}", "content": {"device_name": "${ebs_block_device.value}"},
            },
        },
        lifecycle={"ignore_changes": ["ami", "user_data_base64"]},
        depends_on=[vpc],
    )  # fmt: skip
    Variable(stack, "devices", type="list(string)", default=[], description="further devices")
    Output(stack, "addresses", masters.all("private_ip"), description="of the masters")
    Output(stack, "first", masters.each("master-1", "id"), sensitive=True)
    return stack


def main() -> None:
    app = App()
    sample_stack(app)
    app.synth()


if __name__ == "__main__":
    main()
