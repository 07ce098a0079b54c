"""The one Jinja environment: strict, no escaping, templates from cloud-init/ and nowhere else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import jinja2

import constructs_lib
from constructs_lib.errors import RenderError
from constructs_lib.nodes.compiled import compiled_templates
from constructs_lib.plan.model import TrafficRule

NFT_COMMENT_BYTES = 128
TEMPLATE_FOLDER = Path(constructs_lib.__file__).parent / "cloud_init"
"""A link to cloud-init/ in the repository, a folder of the package once installed."""


@lru_cache(maxsize=8)
def environment(folder: Path) -> jinja2.Environment:
    """The environment over `folder`: an undefined name is an error, a trailing newline stays."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        bytecode_cache=compiled_templates(),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["json"] = _as_json
    env.filters["compact"] = _as_one_line
    env.filters["sh"] = shlex.quote
    env.filters["nft_comment"] = _nft_comment
    env.filters["merged"] = _merged
    return env


def render_template(name: str, context: dict[str, object]) -> str:
    """The text of `name` (`zookeeper/zoo.cfg.j2`); RenderError with file, line and reason."""
    env = environment(TEMPLATE_FOLDER)
    try:
        if not name.endswith(".j2"):
            return (TEMPLATE_FOLDER / name).read_text(encoding="utf-8")
        return env.get_template(name).render(context)
    except FileNotFoundError:
        raise RenderError(f"cloud-init/{name}: there is no such file, but a component declares it") from None
    except jinja2.TemplateNotFound as error:
        raise RenderError(f"cloud-init/{error.name}: no such template (needed for {name})") from None
    except jinja2.TemplateSyntaxError as error:
        raise RenderError(f"cloud-init/{error.name}:{error.lineno}: {error.message}") from error
    except jinja2.TemplateError as error:
        raise RenderError(f"cloud-init/{name}:{_line(error, name)}: {error}") from error


def render_expression(text: str, context: dict[str, object]) -> str:
    """A path or owner that may hold `{{ }}`."""
    if "{{" not in text:
        return text
    try:
        return _expression(text).render(context)
    except jinja2.TemplateError as error:
        raise RenderError(f"{text}: {error}") from error


def holds(condition: str, context: dict[str, object]) -> bool:
    """Whether an expression is true; an empty one is."""
    said = render_expression(f"{{{{ {condition} }}}}", context) if condition else "True"
    return said not in ("", "None", "False", "()")


@lru_cache(maxsize=256)
def _expression(text: str) -> jinja2.Template:
    return environment(TEMPLATE_FOLDER).from_string(text)


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)


def _as_one_line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _nft_comment(text: str) -> str:
    """A quoted comment of a rule: nftables takes 128 bytes and knows no escapes."""
    if len(text.encode()) > NFT_COMMENT_BYTES or '"' in text or "\n" in text:
        raise RenderError(
            f"reason {text!r}: nftables takes at most {NFT_COMMENT_BYTES} bytes, no quotes, one line"
        )
    return f'"{text}"'


def _merged(rules: Iterable[TrafficRule]) -> list[TrafficRule]:
    """One rule for each port, protocol and reason, with the networks of all who may."""
    ports: dict[tuple[str, str, str], TrafficRule] = {}
    for rule in rules:
        known = ports.setdefault((rule.range, rule.protocol, rule.why), rule)
        more = tuple(network for network in rule.networks if network not in known.networks)
        ports[rule.range, rule.protocol, rule.why] = replace(known, networks=known.networks + more)
    return list(ports.values())


def _line(error: BaseException, name: str) -> int:
    """The template's line where a render error was raised: the deepest frame that lies in it."""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.endswith(name):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
