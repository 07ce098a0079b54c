"""What is a secret by its form, and what only looks like one."""

from __future__ import annotations

import base64

import pytest

from constructs_lib.contracts.secret_values import secret_in, secret_in_command, secrets_in_arguments

LOGIN = base64.b64encode(b"shop:hunter2").decode()


@pytest.mark.parametrize(
    "text",
    [
        "postgres://shop:hunter2@db/shop",
        "redis://:hunter2@cache:6379/0",
        "kafka://a:9092 http://shop:hunter2@b:80/x",
        "shop:hunter2@tcp(db:3306)/shop",
        "Bearer hunter2",
        "bearer hunter2",
        f"Basic {LOGIN}",
        "Authorization: Bearer hunter2",
        "-Ddb.password=hunter2",
        "-Djavax.net.ssl.trustStorePassword=hunter2",
        "host=db user=shop password=hunter2",
        "Server=db;Pwd=hunter2;",
        "jdbc:mysql://db/shop?user=shop&password=hunter2",
        '{"user": "shop", "password": "hunter2"}',
        "AWS_SECRET_ACCESS_KEY=hunter2",
        "--api-key='hunter2'",
    ],
)
def test_a_value_with_the_form_of_a_secret_is_told_without_it(text: str) -> None:
    for found in (secret_in(text), secret_in_command(f"run {text}" if "=" in text else text)):
        assert found is not None and "hunter2" not in found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://catalog.service.consul:8080/items",
        "http://catalog:8080/~anna@example.org",
        "postgres://shop@db/shop",
        "postgres://shop:$DB_PASSWORD@db/shop",
        "postgres://shop:@db/shop",
        "a:1@b",
        "Basic plan",
        "Basic",
        "Bearer $TOKEN",
        'curl -H "Authorization: Bearer $(cat "$TOKEN_FILE")" localhost',
        "--password-file=/run/x",
        "--token-ttl=60",
        "--max-tokens=100",
        "--bypass=1",
        "--compass=north",
        "--rotate-token=false",
        "--password=",
        '--password=""',
        '--password="$(cat "$DB_PASSWORD_FILE")"',
        "--password=$DB_PASSWORD",
        "--password=<(cat x)",
        "--token=/run/secrets/token",
        "password=file:/run/x",
        "password={{ password }}",
        '{"password": "${PASSWORD}"}',
        "how to set a password and a token",
    ],
)
def test_what_only_leads_to_a_secret_or_speaks_of_one_is_none(text: str) -> None:
    assert secret_in(text) is None
    assert secret_in_command(text) is None


@pytest.mark.parametrize(
    "text", ["mysqldump --password hunter2 shop", "x --db-token 'hunter2'", "PGPASSWORD=hunter2 pg_dump"]
)
def test_an_option_of_a_command_may_have_its_value_behind_it(text: str) -> None:
    assert secret_in_command(text) == "a value under a secret's name"


@pytest.mark.parametrize(
    "text",
    [
        "pg_dump --no-password shop",
        "login --password-stdin shop",
        "x --password",
        "x --password --verbose",
        "x --password | y",
        'x --password "$(cat y)"',
        "x --token /run/secrets/token",
        "echo the password hunter2",
    ],
)
def test_an_option_without_a_value_of_its_own_holds_none(text: str) -> None:
    assert secret_in_command(text) is None


@pytest.mark.parametrize(
    ("arguments", "indices"),
    [
        (["--password=hunter2"], [0]),
        (["serve", "--password", "hunter2"], [2]),
        (["--url", "postgres://shop:hunter2@db/shop", "--token", "hunter2"], [1, 3]),
        (["--password", "/run/x", "--token", "--verbose"], []),
        (["--no-password", "shop"], []),
        (["password", "hunter"], []),
    ],
)
def test_each_argument_is_told_that_holds_one(arguments: list[str], indices: list[int]) -> None:
    assert list(secrets_in_arguments(arguments)) == indices
