"""Where the lakes of tests are: a folder, or a bucket of a server that speaks S3; and what lies there."""

from __future__ import annotations

import functools
import urllib.request
import uuid
from pathlib import Path
from typing import Any, Protocol

from tests.engines.servers import needed

KEY, SECRET = "AKIALAKEOFTESTS01", "lake/secret+of/tests=7f3a91"


class Place(Protocol):
    """root: as manifests say it."""

    root: str

    @property
    def settings(self) -> str:
        """The lines of settings.yml that name it."""

    def found(self) -> set[str]:
        """All Parquet files that are there."""

    def read(self, name: str) -> bytes:
        """A file. Raises OSError."""

    def put(self, name: str, content: bytes) -> None:
        """Write a file."""

    def drop(self, name: str) -> None:
        """Remove a file."""


class FolderPlace:
    """A lake in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, str(folder)

    @property
    def settings(self) -> str:
        return f"lake: {self.folder}\n"

    def found(self) -> set[str]:
        return {path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.parquet")}

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def put(self, name: str, content: bytes) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(content)

    def drop(self, name: str) -> None:
        (self.folder / name).unlink()


class BucketPlace:
    """A lake in a bucket of its own. What a test does here is never refused."""

    def __init__(self) -> None:
        self.root = f"s3://lake-{uuid.uuid4().hex[:12]}/kpi"
        self.make()

    def make(self) -> None:
        """The bucket, empty."""
        self._client().create_dir(self._key("").split("/")[0])

    @property
    def settings(self) -> str:
        keys = f"access_key: {KEY}, secret_key: '{SECRET}'"
        return f"lake: {self.root}\nlake_access: {{endpoint: '{endpoint()}', {keys}}}\n"

    def found(self) -> set[str]:
        from pyarrow import fs

        listed = self._client().get_file_info(fs.FileSelector(self._key(""), recursive=True, allow_not_found=True))
        return {one.path.removeprefix(self._key("") + "/") for one in listed if one.path.endswith(".parquet")}

    def read(self, name: str) -> bytes:
        with self._client().open_input_stream(self._key(name)) as source:
            return bytes(source.read())

    def put(self, name: str, content: bytes) -> None:
        with self._client().open_output_stream(self._key(name)) as target:
            target.write(content)

    def drop(self, name: str) -> None:
        self._client().delete_file(self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.root.removeprefix('s3://')}/{name}".rstrip("/")

    def _client(self) -> Any:
        from pyarrow import fs

        host = endpoint().removeprefix("http://")
        return fs.S3FileSystem(
            access_key=KEY, secret_key=SECRET, region="us-east-1", scheme="http", endpoint_override=host,
            allow_bucket_creation=True,
        )  # fmt: skip


def place_at(root: str) -> Place:
    """The place of a manifest."""
    if not root.startswith("s3://"):
        return FolderPlace(Path(root))
    found = BucketPlace.__new__(BucketPlace)
    found.root = root
    return found


@functools.cache
def endpoint() -> str:
    """Of the server of this run, begun when it is asked for first. Skips where it is not installed."""
    needed("s3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    return "http://{}:{}".format(*server.get_host_and_port())


def rights() -> dict[str, str]:
    """The environment of a server that reads buckets."""
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    return {**keys, "AWS_ENDPOINT": endpoint(), "AWS_ALLOW_HTTP": "true"}


def refuse_after(requests: float) -> None:
    """From so many requests on the server knows no key; infinite = it takes any."""
    plain = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(f"{endpoint()}/moto-api/reset-auth", str(requests).encode(), plain, method="POST")
    urllib.request.urlopen(asked).close()


def forget(bucket: BucketPlace) -> None:
    """The bucket is gone, with all that is in it."""
    client, name = bucket._client(), bucket._key("").split("/")[0]
    client.delete_dir_contents(name)
    urllib.request.urlopen(urllib.request.Request(f"{endpoint()}/{name}", method="DELETE")).close()
