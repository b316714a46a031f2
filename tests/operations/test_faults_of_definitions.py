"""What is put among the definitions and is no definition: told at once, with its name; the rest goes on."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.operations.conftest import DAYS, Shop

pytestmark = pytest.mark.breadth(5)

AT_ONCE = 5  # seconds, on a busy machine


def told(shop: Shop, place: str, *words: str) -> None:
    """`validate` names the file; numbers are shown, a sync goes on."""
    before = time.monotonic()
    said = shop.kpi("validate", status=1)
    assert time.monotonic() - before < AT_ONCE
    assert f"{place}: error" in said and all(word in said for word in words), said
    assert "Traceback" not in said and shop.total() == DAYS
    shop.put(DAYS + 1)
    assert not shop.builder.sync().failed and shop.total() == DAYS + 1


def put(shop: Shop, make: Callable[[Path], object], name: str = "kpis/x.yml") -> Path:
    path = shop.folder / name
    path.unlink(missing_ok=True)
    make(path)
    return path


def test_a_named_pipe_among_definitions(shop: Shop) -> None:
    for part in ("kpis", "datasets", "launches"):
        put(shop, os.mkfifo, f"{part}/x.yml")
    told(shop, "kpis/x.yml", "datasets/x.yml", "launches/x.yml", "is a named pipe, not a file")


def test_a_socket_among_definitions(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop.folder / "kpis")  # its whole path is too long for one
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("x.yml")
        told(shop, "x.yml", "is a socket, not a file")


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device needs root")
def test_a_device_among_definitions(shop: Shop) -> None:
    """/dev/zero has no end."""
    put(shop, lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)))
    told(shop, "kpis/x.yml", "is a device, not a file")


def test_a_link_out_of_the_folder(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "secret.yml").write_text("name: x\npassword: hunter2\n")
    put(shop, lambda path: path.symlink_to(tmp_path / "secret.yml"))
    told(shop, "kpis/x.yml", "is a link out of the project's folder")
    assert "hunter2" not in shop.kpi("validate", status=1)


def test_a_link_within_the_folder(shop: Shop) -> None:
    """As ConfigMaps of Kubernetes are mounted."""
    (shop.folder / "kept.yml").write_text("name: x\ndataset: t\nagg: count\n")
    put(shop, lambda path: path.symlink_to("../kept.yml"))
    shop.kpi("validate")


def test_a_link_to_nothing(shop: Shop) -> None:
    put(shop, lambda path: path.symlink_to("gone.yml"))
    told(shop, "kpis/x.yml", "No such file")


def test_a_definition_of_60_mb(shop: Shop) -> None:
    put(shop, lambda path: path.write_text("# a very long comment\n" * 3_000_000))
    told(shop, "kpis/x.yml", "are read at the most")


def test_a_folder_called_like_a_definition(shop: Shop) -> None:
    put(shop, Path.mkdir)
    told(shop, "kpis/x.yml", "is a folder, not a file")


def test_a_definition_that_is_no_text(shop: Shop) -> None:
    put(shop, lambda path: path.write_bytes(b"name: \xff\xfe\n"))
    told(shop, "kpis/x.yml", "Save it as UTF-8")


def test_a_definition_whose_name_is_no_text(shop: Shop) -> None:
    (shop.folder / "kpis" / os.fsdecode(b"\xff.yml")).write_text("name: x\n")
    told(shop, "kpis/\N{REPLACEMENT CHARACTER}.yml", "has a name that is no text")


def test_a_transform_that_is_no_file(shop: Shop) -> None:
    put(shop, os.mkfifo, "transforms/one.py")
    put(shop, Path.mkdir, "transforms/two.py")
    told(shop, "transforms/one.py", "is a named pipe, not a file", "is a folder, not a file")


@pytest.mark.parametrize("name", ["settings.yml", "sources.yml"])
def test_settings_and_sources_that_are_no_file(shop: Shop, name: str) -> None:
    content = (shop.folder / name).read_text()
    put(shop, os.mkfifo, name)
    for verb in ("validate", "doctor", "sync"):
        assert "is a named pipe, not a file" in shop.kpi(verb, status=1)
    put(shop, lambda path: path.write_text(content), name)
    shop.recovered()


def test_a_source_file_that_is_a_named_pipe(shop: Shop) -> None:
    put(shop, os.mkfifo, "files/t.parquet")
    assert "t.parquet is a named pipe, not a file" in shop.kpi("sync", status=1)
    assert shop.total() == DAYS and "is a named pipe" in shop.kpi("doctor", status=1)
    (shop.folder / "files" / "t.parquet").unlink()
    shop.recovered()
