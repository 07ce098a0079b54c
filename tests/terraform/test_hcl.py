"""Python values as expressions, and plain text that Terraform must give back unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.terraform.hcl import Expr, index, is_template, literal, to_hcl


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-7, "-7"),
        (1.5, "1.5"),
        (10**20, "100000000000000000000"),
        ("text", '"text"'),
        ("", '""'),
        ('say "hi"', r'"say \"hi\""'),
        ("a\\b", r'"a\\b"'),
        ("a\nb\r\tc", r'"a\nb\r\tc"'),
        ("\x00\x1b\x7f", r'"\u0000\u001b\u007f"'),
        ("é中😀", '"é中😀"'),
        ([], "[]"),
        ((1, "a"), '[1, "a"]'),
        ({}, "{}"),
        ({"master-1": {"ip": "10.0.0.1"}}, '{"master-1" = {"ip" = "10.0.0.1"}}'),
        ({"for": 1}, '{"for" = 1}'),
        ({'a"b': 1}, r'{"a\"b" = 1}'),
    ],
)
def test_a_value_is_rendered(value: object, expected: str) -> None:
    assert to_hcl(value) == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${aws_vpc.x.id}", "aws_vpc.x.id"),
        (Expr("aws_vpc.x.id"), "aws_vpc.x.id"),
        ("${ {a = 1} }", "{a = 1}"),
        ('${f("}")}', 'f("}")'),
        ('${f("${x}")}', 'f("${x}")'),
        ('${f("\\"}")}', 'f("\\"}")'),
        ('${f("$${")}', 'f("$${")'),
        ("a-${x}", '"a-${x}"'),
        ("${x}${y}", '"${x}${y}"'),
        ('"${f("\\n")}"\n', '"\\"${f("\\n")}\\"\\n"'),
        ("%{ if x }a%{ endif }", '"%{ if x }a%{ endif }"'),
        ("$${x}", '"$${x}"'),
        ("%%{x}", '"%%{x}"'),
        ("$$${x}", '"$$${x}"'),
        ("50% $5 $ {", '"50% $5 $ {"'),
    ],
)
def test_code_inside_a_template_is_left_alone(template: str, expected: str) -> None:
    assert to_hcl(template) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${HOME}", "$${HOME}"),
        ("%{x}", "%%{x}"),
        ("$${HOME}", "$$${HOME}"),
        ("%${a}", "%$${a}"),
        ("$HOME $(pwd) 100% {}", "$HOME $(pwd) 100% {}"),
        ("a\r\nb", "a\r\nb"),
    ],
)
def test_literal_escapes_what_would_start_a_sequence(text: str, expected: str) -> None:
    assert literal(text) == expected
    assert not is_template(literal(text))


def test_literal_keeps_apart_what_the_engine_or_terraform_would_misread() -> None:
    assert literal("${TfToken[TOKEN.1]}") == '$${${"TfToken"}[TOKEN.1]}'
    assert literal("a\rb\r\r\n") == r'a${"\r"}b${"\r"}' + "\r\n"
    assert literal("$\r%%$TfToken[") == r'${"$\r"}${"%%$TfToken"}['


def test_an_expression_reads_as_a_template() -> None:
    assert Expr("var.zone") == "${var.zone}"
    assert is_template(Expr("var.zone"))
    assert not is_template("$${var.zone}")
    assert not is_template(7)


def test_an_index_is_a_number_or_text_without_a_template() -> None:
    assert index(0) == "[0]"
    assert index("master-1") == '["master-1"]'
    assert index("${a}") == '["$${a}"]'


@pytest.mark.parametrize("text", ["${x", "a ${f(", '${f("}', '%{ if "x'])
def test_an_interpolation_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not closed; use literal\(\)"):
        to_hcl(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": float("-inf")}])
def test_a_number_that_terraform_lacks_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        to_hcl(value)


@pytest.mark.parametrize("value", [b"bytes", {1: "a"}, {"a": {"set"}}, object()])
def test_a_type_that_terraform_lacks_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="expected"):
        to_hcl(value)
