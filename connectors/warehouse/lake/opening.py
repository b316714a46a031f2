"""What `lake` of settings.yml may be, and the store that it is."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from connectors.buckets import S3Access
from connectors.errors import SettingsError
from connectors.warehouse.engines.files import S3
from connectors.warehouse.lake.bucket import LakeBucket
from connectors.warehouse.lake.folder import LakeFolder
from connectors.warehouse.lake.store import LakeStore

GLOB = frozenset("*?[]{},'\"\\`%#")  # which mean something else to one engine or another
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
PREFIX = re.compile(r"[A-Za-z0-9._=-]+")
GOOGLE = (
    "Google's store speaks S3, too, with an HMAC key: write s3://bucket/prefix, and "
    "`lake_access: {endpoint: https://storage.googleapis.com, access_key: ${…}, secret_key: ${…}}`."
)
MOUNTED = "Write s3://bucket/prefix where the store speaks S3; or mount it, and write the folder: /mnt/shared/kpi."


def is_bucket(lake: str) -> bool:
    """Whether a lake is in a bucket."""
    return lake.startswith(S3)


def opened(lake: str, access: S3Access, data: Path) -> LakeStore:
    """The store of a lake; a folder's path is absolute. Connects to nothing."""
    return LakeBucket(lake, access, data) if is_bucket(lake) else LakeFolder(Path(lake))


def refuse_no_lake(lake: str, access: S3Access) -> None:
    """Raises SettingsError for what cannot be a lake."""
    if is_bucket(lake):
        _refuse_no_bucket(lake, access)
        return
    if "://" in lake:
        scheme = lake.partition("://")[0]
        hint = GOOGLE if scheme in ("gs", "gcs") else MOUNTED
        raise SettingsError(f"a lake is a folder or s3://bucket/prefix, and {scheme}:// is not written to", hint=hint)
    if access != S3Access():
        hint = "Leave it out: this user's rights on the folder count. Or write s3://bucket/prefix as `lake`."
        raise SettingsError("`lake_access` is of a lake in a bucket, and `lake` names none", hint=hint)
    if wrong := sorted(GLOB & set(lake)):
        raise SettingsError(f"the path of a lake may not have {wrong[0]}", hint="Engines read that as a pattern.")


def _refuse_no_bucket(lake: str, access: S3Access) -> None:
    bucket, *parts = lake.removeprefix(S3).removesuffix("/").split("/")
    if not BUCKET.fullmatch(bucket) or any(not PREFIX.fullmatch(one) or not one.strip(".") for one in parts):
        hint = "Such as s3://shop-kpi/bellwether: small letters, digits, - and . in the bucket; no empty part after it."
        raise SettingsError("this is no address of a bucket and a prefix", hint=hint)
    if bool(access.access_key) != bool(access.secret_key):
        hint = "Write both, or none: then those of the machine count."
        raise SettingsError("`access_key` and `secret_key` of `lake_access` go together", hint=hint)
    address = urlsplit(access.endpoint)
    if access.endpoint and (address.scheme not in ("http", "https") or not address.hostname or "@" in address.netloc):
        raise SettingsError("`endpoint` of `lake_access` is no address", hint="Such as http://minio:9000.")
    if access.endpoint and (address.path.strip("/") or address.query or address.fragment):
        hint = "Such as http://minio:9000; the bucket is in `lake`."
        raise SettingsError("`endpoint` of `lake_access` is a host only, without a path", hint=hint)
    if not access.endpoint and not access.region:
        hint = "Add `lake_access: {region: eu-central-1}`; or its `endpoint`, where it is not Amazon's."
        raise SettingsError("a lake in a bucket of Amazon's needs its region", hint=hint)
