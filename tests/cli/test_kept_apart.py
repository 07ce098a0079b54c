"""Commands beside a restore of one application, over a simulated cluster and a real Consul."""

from __future__ import annotations

import json

import pytest

from constructs_lib.hooks.apart import RestoreLease, restores
from tests.cli.test_scale import Shop, rounds, server, shop
from tests.hooks.simulated import marathon_of

pytestmark = pytest.mark.slow

__all__ = ["server", "shop"]


def test_no_command_starts_what_is_being_restored(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    lease = RestoreLease("shop", stays=True)
    lease.take(shop.consul)
    contract = shop.folder / "contracts" / "shop.yaml"
    contract.write_text(contract.read_text().replace("shop:one", "shop:two"))
    capsys.readouterr()

    assert shop.command("apply", "--gate-timeout", "20", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    (app,) = (row for hook in report["outcomes"] for row in hook["verdicts"] if row["name"] == "shop")
    assert "restores its data since" in app["says"] and app["try_next"].startswith("wait for its end")
    for command in ("promote", "resume", "rollback"):
        assert shop.command(command, "shop") == 1
        err = capsys.readouterr().err
        assert "restores its data since" in err and "; next: wait for its end" in err, command
    assert shop.running() == 2

    lease.end(shop.consul, whole=True)
    assert shop.command("apply", "--gate-timeout", "20") == 0
    assert "shop:two" in json.dumps([task.spec for task in shop.simulated.tasks() if task.active])


def test_scaling_skips_only_the_round_in_which_it_is_restored(
    shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lease, seen = RestoreLease("shop", stays=True), list[int]()
    shop.use(0.9)
    lease.take(shop.consul)
    capsys.readouterr()

    def ended() -> None:
        seen.append(shop.running())
        lease.end(shop.consul, whole=True)

    rounds(monkeypatch, lambda: None, ended)

    assert shop.command("scale", "--every", "10") == 0

    out, err = capsys.readouterr()
    assert seen == [2]
    told = err.splitlines()[1:-1]
    assert told[0].startswith("shop: not scaled in this round: ") and "restores its data since" in told[0]
    assert told[1:] == ["shop: goes on"]
    assert out.count(" SIMULATOR shop: memory 0.90") == 1 and shop.running() == 4


def test_what_a_killed_restore_left_is_unlocked_by_whoever_knows_better(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = RestoreLease("shop", stays=True)
    lease.take(shop.consul)
    assert shop.command("restore", "shop", "--force-unlock", "--yes") == 1
    assert "restores its data since" in capsys.readouterr().err
    lease.end(shop.consul, whole=False)

    assert shop.command("scale") == 1
    assert "clustermesos restore shop --force-unlock, where you know that it is" in capsys.readouterr().out
    assert shop.command("restore", "shop", "--force-unlock") == 1
    assert "not confirmed; nothing was changed" in capsys.readouterr().err
    assert shop.command("restore", "shop", "--force-unlock", "--yes") == 0

    assert "no longer keeps others away; next: clustermesos apply" in capsys.readouterr().out
    assert restores(shop.consul) == {}
    assert shop.command("scale") == 0


def test_what_looks_tells_who_restores_it_and_offers_no_command_that_would_be_refused(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = RestoreLease("shop", stays=True)
    lease.take(shop.consul)
    with marathon_of(shop.simulated) as marathon:
        (app,) = marathon.apps()
        marathon.scale(app["id"], 0)
    capsys.readouterr()

    assert shop.command("status", "--json") == 1
    rows = {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)["contracts"]}
    assert rows["restore", "shop"]["good"] and "restores its data since" in rows["restore", "shop"]["says"]
    assert rows["app", "shop"]["says"].endswith("; its data is being restored")
    assert rows["app", "shop"]["try_next"] is None
    assert shop.command("explain", "shop") == 1
    out = capsys.readouterr().out
    assert "restores its data since" in out and "try: wait for its end" in out


def test_what_looks_tells_how_a_restore_that_did_not_end_is_ended_also_where_the_application_serves(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    lease = RestoreLease("shop", stays=True)
    lease.take(shop.consul)
    capsys.readouterr()
    assert shop.command("status") == 0
    assert shop.command("explain", "shop") == 0
    assert "  restore: " in capsys.readouterr().out
    lease.end(shop.consul, whole=False)

    redo = "clustermesos restore shop, which begins by undoing"
    assert shop.command("status") == 1
    out = capsys.readouterr().out
    assert "NOT  restore shop  the restore that " in out and f"try: {redo}" in out
    assert shop.command("explain", "shop") == 1
    assert f"try: {redo}" in capsys.readouterr().out
