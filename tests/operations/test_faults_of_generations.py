"""Damaged generations, pointers and notes. Each test is a line of the table in docs/operations.md."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.errors import BackupError, DamagedData, FolderError
from jobs.operations.backup import backup
from tests.conftest import NOW
from tests.operations.conftest import DAYS, Shop, refused

pytestmark = pytest.mark.breadth(3)


def stood_in_for(shop: Shop, *words: str, kept: int = 1) -> None:
    """The generation before is read and that is said; a sync builds on it, and keeps what is damaged."""
    assert shop.total() == DAYS - 1
    (told,) = shop.open().warnings()
    assert all(word in told for word in (*words, "is read instead")), told
    for verb in (("status",), ("query", "total")):
        assert told in shop.kpi(*verb)
    assert told.partition(". ")[0] in shop.kpi("doctor", status=1)
    assert not shop.kept_aside()  # reading writes nothing
    result = shop.builder.sync(now=NOW + timedelta(minutes=1))
    assert result.published and told in result.warnings and shop.total() == DAYS  # what was lost is pulled again
    assert len(shop.kept_aside()) == kept
    shop.recovered()


def repaired(shop: Shop, *words: str) -> None:
    said = shop.kpi("doctor", "--repair")
    assert all(word in said for word in words), said
    assert shop.open().warnings() == ()


def test_a_live_file_that_is_garbage(shop: Shop) -> None:
    shop.live.write_bytes(os.urandom(50_000))
    stood_in_for(shop, "bytes")


def test_a_live_file_that_is_garbage_of_the_right_size(shop: Shop) -> None:
    shop.live.write_bytes(os.urandom(shop.live.stat().st_size))
    stood_in_for(shop, "is no DuckDB file")


def test_a_live_file_that_is_empty(shop: Shop) -> None:
    shop.live.write_bytes(b"")
    stood_in_for(shop, "has 0 bytes")


def test_a_live_file_that_is_cut_in_half(shop: Shop) -> None:
    content = shop.live.read_bytes()
    shop.live.write_bytes(content[: len(content) // 2])
    stood_in_for(shop, "were published")


def test_a_live_file_with_a_damaged_header(shop: Shop) -> None:
    content = bytearray(shop.live.read_bytes())
    content[4096:12288] = bytes(8192)
    shop.live.write_bytes(content)
    stood_in_for(shop, "cannot be opened")


def deep(shop: Shop, content: bytes) -> None:
    """Damage that opening does not see: readers are right or fall back, `--deep` sees it, a sync builds on another."""
    shop.live.write_bytes(content)
    assert f"total,{DAYS}" in shop.kpi("query", "total", "--grain", "total", "--format", "csv").replace(".0", "") or (
        shop.open().warnings()
    )
    said = shop.kpi("doctor", "--deep", status=1)
    assert "its checksum is not the one noted" in said or "is not what was written" in said, said
    assert shop.builder.sync(now=NOW + timedelta(minutes=1)).published
    assert shop.total() == DAYS and len(shop.kept_aside()) == 1
    shop.recovered()


def zeroed(content: bytes, at: int | None = None) -> bytes:
    """With the block in the middle gone, or the one of a place."""
    size, header = 262_144, 12_288
    block = (len(content) - header) // size // 2 if at is None else (at - header) // size
    start = header + size * block
    return content[:start] + bytes(size) + content[start + size :]


def test_a_live_file_with_a_zeroed_block(shop: Shop) -> None:
    deep(shop, zeroed(shop.live.read_bytes()))


def test_a_live_file_with_flipped_bits(shop: Shop) -> None:
    content = bytearray(shop.live.read_bytes())
    content[len(content) // 2] ^= 16
    deep(shop, bytes(content))


def test_a_live_file_that_is_gone(shop: Shop) -> None:
    shop.live.unlink()
    stood_in_for(shop, "No such file", kept=0)


def test_a_live_file_that_is_a_folder(shop: Shop) -> None:
    live = shop.live
    live.unlink()
    live.mkdir()
    stood_in_for(shop, "is no file")


def test_a_live_file_that_is_a_named_pipe(shop: Shop) -> None:
    live = shop.live
    live.unlink()
    os.mkfifo(live)
    stood_in_for(shop, "is no file")


def test_a_live_file_of_another_generation(shop: Shop) -> None:
    before = shop.ids()[0]
    for end in (".duckdb", ".sum"):
        shutil.copy(shop.file(before).with_suffix(end), shop.live.with_suffix(end))
    stood_in_for(shop, f"holds generation {before}")


def test_a_live_file_mended_by_doctor(shop: Shop) -> None:
    live = shop.live
    live.write_bytes(b"")
    repaired(shop, "it is kept as data/damaged/", "is live")
    assert shop.total() == DAYS - 1 and shop.kept_aside() == [live.name]
    shop.recovered()


def test_two_damaged_generations(shop: Shop) -> None:
    for id_ in shop.ids()[1:]:
        shop.file(id_).write_bytes(b"gone")
    assert shop.total() == DAYS - 2
    shop.recovered()
    assert len(shop.kept_aside()) == 2


def test_every_generation_damaged(shop: Shop) -> None:
    for path in shop.generations.glob("*.duckdb"):
        path.write_bytes(b"gone")
    before = sorted(path.name for path in shop.generations.iterdir())
    refused(shop, "no generation can be read", "kpi restore", "kpi sync --anew")
    assert "no generation can be read" in shop.kpi("doctor", status=1)
    assert "no generation can be read" in shop.kpi("doctor", "--repair", status=1)
    assert "no generation can be read" in shop.kpi("sync", status=1)
    assert sorted(path.name for path in shop.generations.iterdir()) == before  # nothing moved, nothing deleted
    shop.kpi("sync", "--anew")
    assert shop.total() == DAYS and len(shop.kept_aside()) == 4  # and the pointer
    shop.recovered()


def test_begin_anew_although_a_generation_can_be_read(shop: Shop) -> None:
    assert "can be read, so nothing begins anew" in shop.kpi("sync", "--anew", status=1)
    assert shop.total() == DAYS and not shop.kept_aside()


def test_a_pointer_that_is_gone(shop: Shop) -> None:
    (shop.data / "live").unlink()
    assert shop.total() == DAYS and "data/live is missing" in shop.kpi("status", "--json")
    shop.kpi("sync")
    assert shop.ids()[2] and shop.total() == DAYS
    shop.recovered()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00garbage", b"x" * 100_000])
def test_a_pointer_that_is_garbage(shop: Shop, content: bytes) -> None:
    (shop.data / "live").unlink()
    (shop.data / "live").write_bytes(content)
    assert shop.total() == DAYS and "data/live names no generation" in shop.open().warnings()[0]
    repaired(shop, "it is kept as data/damaged/live")
    shop.recovered()


def test_a_pointer_that_is_a_folder(shop: Shop) -> None:
    (shop.data / "live").unlink()
    (shop.data / "live").mkdir()
    assert shop.total() == DAYS and "neither a link nor a file" in shop.open().warnings()[0]
    shop.recovered()
    assert shop.kept_aside() == ["live"]


def test_a_pointer_that_is_a_named_pipe(shop: Shop) -> None:
    (shop.data / "live").unlink()
    os.mkfifo(shop.data / "live")
    assert shop.total() == DAYS and "neither a link nor a file" in shop.open().warnings()[0]
    shop.recovered()


def test_a_pointer_to_nothing(shop: Shop) -> None:
    (shop.data / "live").unlink()
    (shop.data / "live").symlink_to("generations/20200101T000000-00000000.duckdb")
    assert shop.total() == DAYS and "No such file" in shop.open().warnings()[0]
    repaired(shop, "is live")
    shop.recovered()


def test_a_folder_of_generations_that_is_gone(shop: Shop) -> None:
    shutil.rmtree(shop.generations)
    refused(shop, "no generation can be read")
    (shop.data / "live").unlink()
    refused(shop, "the generations are gone", "the last sync left generation", "kpi sync --anew")
    shop.kpi("sync", "--anew")
    shop.recovered()


def test_all_data_gone_but_the_state_store(shop: Shop) -> None:
    shutil.rmtree(shop.generations)
    for name in ("live", "last_sync.json"):
        (shop.data / name).unlink()
    refused(shop, "the generations are gone", "the state store was used with one")
    assert "the generations are gone" in shop.kpi("doctor", status=1)
    shop.kpi("sync", "--anew")
    shop.recovered()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\x00", b'{"sequence": 1, "size": 9, "sha256": "0", "check": 1}'])
def test_a_note_that_is_damaged(shop: Shop, content: bytes) -> None:
    """It says nothing about its generation, which is good."""
    shop.live.with_suffix(".sum").write_bytes(content)
    assert shop.total() == DAYS and shop.open().warnings() == ()
    assert "no checksum was noted" in shop.kpi("doctor", "--deep")
    shop.recovered()


def test_a_generation_without_a_note(shop: Shop) -> None:
    """Of an earlier version."""
    for path in shop.generations.glob("*.sum"):
        path.unlink()
    assert shop.total() == DAYS and "no checksum was noted" in shop.kpi("doctor", "--deep")
    shop.live.write_bytes(b"DUCK" * 10_000)
    assert shop.total() == DAYS - 1
    shop.recovered()


def test_a_stray_log_beside_the_live_file(shop: Shop) -> None:
    Path(f"{shop.live}.wal").write_bytes(os.urandom(5_000))
    assert shop.total() in (DAYS, DAYS - 1)
    shop.recovered()
    assert not list(shop.generations.glob("*.wal"))


def test_damage_found_while_reading(shop: Shop) -> None:
    """In a server: whoever asks again is given the generation before, in the same process."""
    content = shop.live.read_bytes()
    shop.live.write_bytes(zeroed(content, content.rindex(b"agg: ")))  # the texts of definitions are read at once
    opened = shop.open()
    with pytest.raises(DamagedData, match="Ask again: the generation before it is read"):
        opened.catalogue(opened.reader())
    assert opened.reader().generation.id == shop.ids()[-1] != shop.live.stem
    assert "is read instead" in opened.warnings()[0] and shop.total() == DAYS - 1
    shop.recovered()


@pytest.mark.parametrize("kind", ["backup.zip", "backup"])
def test_a_backup_of_a_damaged_generation(shop: Shop, tmp_path: Path, kind: str) -> None:
    content = bytearray(shop.live.read_bytes())
    content[-5] ^= 1
    shop.live.write_bytes(content)
    with pytest.raises(BackupError, match="it is not what was published"):
        backup(shop.open(), tmp_path / kind, now=NOW)
    assert not (tmp_path / kind).exists()
    repaired(shop, "is live")
    backup(shop.open(), tmp_path / kind, now=NOW)


def test_a_restored_generation_that_was_damaged(shop: Shop, tmp_path: Path) -> None:
    """Put back by hand, not by `kpi restore`, which compares as well."""
    content = bytearray(shop.live.read_bytes())
    content[-5] ^= 1
    shop.live.write_bytes(content)
    with pytest.raises(Exception, match="checksum"):
        shop.open().warehouse.restore(shop.live.stem)


def test_a_live_file_that_may_not_be_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the system's refusal is made here, for this one file."""
    real, live = Path.open, shop.live

    def open_(path: Path, *arguments: object, **options: object) -> object:
        if path == live:
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    os.utime(live)  # it was not looked at before
    monkeypatch.setattr(Path, "open", open_)
    assert shop.total() == DAYS - 1 and "Permission denied" in shop.open().warnings()[0]
    with pytest.raises(FolderError, match="nothing is built on an older one"):
        shop.builder.sync()
    monkeypatch.undo()
    os.utime(live)
    assert shop.total() == DAYS and not shop.kept_aside()
    shop.recovered()
