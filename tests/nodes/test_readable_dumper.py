"""The fast road of the cloud-config's dumper writes what the emitter itself would."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from constructs_lib.nodes import cloud_init

# Short lines of what YAML cares about, and simple blocks, which most real files are.
_TEXTS = st.text(st.sampled_from("ab \n\t:#-|'\"é\u2028{%"), max_size=12) | st.from_regex(
    r"\A([!-~][ -~]{0,5}[!-~]\n\n?){1,3}[!-~]\n\Z"
)


class _Slow(cloud_init._ReadableDumper):
    analyze_scalar = yaml.SafeDumper.analyze_scalar
    write_literal = yaml.SafeDumper.write_literal


def _dump(value: object, dumper: Any) -> str:
    text: str = yaml.dump(
        value, Dumper=dumper, sort_keys=False, allow_unicode=True, width=2**31, default_flow_style=False
    )
    return text


@pytest.mark.slow
@given(_TEXTS)
@example("a\n\n  b\n")
@example(" a\n")
@example("a\n\n")
@example("a \nb\n")
@example("\n")
def test_every_text_is_dumped_as_the_emitter_dumps_it(text: str) -> None:
    for value in ({"content": text, "after": [1]}, [{"a": 1, "content": text, "z": [text]}], {text: 1}, text):
        assert _dump(value, cloud_init._ReadableDumper) == _dump(value, _Slow)


@pytest.mark.slow
@given(st.lists(st.tuples(_TEXTS, st.booleans()), min_size=1, max_size=4))
def test_section_by_section_is_the_same_document(files: list[tuple[str, bool]]) -> None:
    entries = [
        {"path": "/a", "permissions": "0600", "content": text} | ({"owner": text} if more else {})
        for text, more in files
    ]
    config = {
        "hostname": "a",
        "write_files": entries,
        "apt": {"proxy": files[0][0]},
        "runcmd": ["set -e", ["a"]],
    }
    assert cloud_init._dump(config) == _dump(config, _Slow)


@pytest.mark.parametrize("text", ["a\n", "a\n\n  b\n", "#!/bin/sh\nexec true\n"])
def test_a_plain_file_takes_the_fast_road(text: str) -> None:
    assert cloud_init._simple_block(text)


@given(
    st.from_regex(r"\A/[a-zA-Z0-9_./: #-]{1,12}\Z") | st.just("/etc/mesos-master/?no-logger"),
    st.from_regex(r"\A[0-9]{4}\Z"),
    _TEXTS,
)
@example("/etc/a.conf", "0644", "a\n\n  b\n")
@example("/etc/a: b", "0644", "a\n")
@example("/etc/a.conf", "0644", "\n")
def test_a_file_is_written_as_the_emitter_writes_it(path: str, permissions: str, content: str) -> None:
    entry = {"path": path, "permissions": permissions, "content": content}
    # Something comes after it: at the end of a document the emitter would mark that end, too.
    document = _dump({"write_files": [entry], "z": 1}, _Slow)
    assert cloud_init._item(entry) == document.removeprefix("write_files:\n").removesuffix("z: 1\n")
