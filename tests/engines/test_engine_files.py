"""How engines are told where files are: nothing is asked of one."""

from __future__ import annotations

import pytest

from connectors.buckets import S3Access
from connectors.warehouse.engines.clickhouse import _reading
from connectors.warehouse.engines.files import FileTable
from connectors.warehouse.engines.spark import _address

COLUMNS = {"it's": "BIGINT"}
KINDS = "'`it\\'s` Nullable(Int64)'"
MINIO = S3Access(endpoint="http://minio:9000/", access_key="AKIA", secret_key="a'b")
AMAZON = S3Access(region="eu-central-1")


@pytest.mark.parametrize(
    ("paths", "access", "read"),
    [
        (("/lake/t/1/a",), S3Access(), f"file('/lake/t/1/a', 'Parquet', {KINDS})"),
        (("/lake/t/1/a", "/lake/t/2/b"), S3Access(), f"file('/lake/t/{{1/a,2/b}}', 'Parquet', {KINDS})"),
        (("s3://b/k/t/1/a",), AMAZON, f"s3('https://s3.eu-central-1.amazonaws.com/b/k/t/1/a', 'Parquet', {KINDS})"),
        (
            ("s3://b/k/t/1/a", "s3://b/k/t/2/b"),
            MINIO,
            f"s3('http://minio:9000/b/k/t/{{1/a,2/b}}', 'AKIA', 'a\\'b', 'Parquet', {KINDS})",
        ),
    ],
)
def test_clickhouse_reads_files_by_a_function(paths: tuple[str, ...], access: S3Access, read: str) -> None:
    assert _reading(FileTable(COLUMNS, paths, 3, access)) == read


def test_spark_reads_a_bucket_by_its_own_rights() -> None:
    assert [_address("/lake/a"), _address("s3://b/a")] == ["file:///lake/a", "s3a://b/a"]


def test_what_is_printed_of_files_has_no_key() -> None:
    assert "AKIA" not in repr((FileTable(COLUMNS, ("s3://b/a",), 1, MINIO), MINIO))
