from __future__ import annotations

from constructs_lib.aws.images import CANONICAL, machine_image
from tests.aws.clusters import site_plan, synthesize


def test_the_newest_ubuntu_of_canonical_is_the_default() -> None:
    stack = synthesize(lambda stack: machine_image(stack, site_plan("small")))

    image = stack["data"]["aws_ami"]["image"]
    assert image["owners"] == [CANONICAL]
    assert image["most_recent"] is True
    assert "noble-24.04-amd64" in image["filter"][0]["values"][0]


def test_an_image_by_its_id_is_not_looked_up() -> None:
    stack = synthesize(lambda stack: machine_image(stack, site_plan("whole")))

    assert "data" not in stack
