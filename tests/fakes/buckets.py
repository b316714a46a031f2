"""Object stores: what Arrow's clients ask of S3, Google Cloud Storage and Azure Blob Storage, over one truth.

After docs.aws.amazon.com/AmazonS3 (ListObjectsV2, GetObject), cloud.google.com/storage/docs/json_api (objects) and
learn.microsoft.com/rest/api/storageservices (List Blobs, Get Blob). Signatures are not checked, but must be there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ACCOUNT, BUCKET = "shopaccount", "shop"


@dataclass(frozen=True)
class Stored:
    """An object: what it holds, and when it was written."""

    body: bytes
    at: datetime

    @property
    def http_time(self) -> str:
        """As headers have it."""
        return f"{self.at.astimezone(UTC):%a, %d %b %Y %H:%M:%S} GMT"


@dataclass
class Buckets:
    """objects: key → what is stored. page: objects of an answer. denied: nobody may read."""

    objects: dict[str, Stored] = field(default_factory=dict)
    page: int = 2
    denied: bool = False

    @property
    def app(self) -> Starlette:
        """One server for all three, told apart by their paths."""
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "HEAD"])])

    def put(self, key: str, body: str, at: datetime) -> None:
        """Write an object."""
        self.objects[key] = Stored(body.encode(), at)

    async def answer(self, request: Request) -> Response:
        """Whatever was asked."""
        path = unquote(request.scope["raw_path"].decode().partition("?")[0])
        if path.startswith("/storage/v1/"):
            return self._google(request, path)
        if self.denied or "authorization" not in request.headers:
            body = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return Response(body, 403, media_type="application/xml")
        return self._azure(request, path) if path.startswith(f"/{ACCOUNT}/") else self._s3(request, path)

    def _listed(self, prefix: str, after: str) -> tuple[list[str], str]:
        """Keys of one page, in order, and the mark of the next."""
        keys = [key for key in sorted(self.objects) if key.startswith(prefix) and key > after]
        return keys[: self.page], keys[self.page - 1] if len(keys) > self.page else ""

    def _s3(self, request: Request, path: str) -> Response:
        query = request.query_params
        if "list-type" not in query:
            return self._content(request, path.removeprefix(f"/{BUCKET}/"), "range")
        keys, mark = self._listed(query.get("prefix", ""), query.get("continuation-token", ""))
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{self.objects[key].at:%Y-%m-%dT%H:%M:%S}.000Z"
            f"</LastModified><Size>{len(self.objects[key].body)}</Size></Contents>"
            for key in keys
        )
        more = f"<IsTruncated>{'true' if mark else 'false'}</IsTruncated>"
        more += f"<NextContinuationToken>{escape(mark)}</NextContinuationToken>" if mark else ""
        body = (
            f"<ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(keys)}</KeyCount>{more}{items}</ListBucketResult>"
        )
        return Response(body, media_type="application/xml")

    def _google(self, request: Request, path: str) -> Response:
        query = request.query_params
        if self.denied:
            return JSONResponse({"error": {"code": 403, "message": "does not have storage.objects.list access"}}, 403)
        key = path.partition(f"/b/{BUCKET}/o/")[2]
        if key and query.get("alt") == "media":
            return self._content(request, key, "range")
        if key:
            found = key in self.objects
            return JSONResponse(self._described(key) if found else {"error": {"code": 404}}, 200 if found else 404)
        keys, mark = self._listed(query.get("prefix", ""), query.get("pageToken", ""))
        items = [self._described(key) for key in keys]
        return JSONResponse({"kind": "storage#objects", "items": items, **({"nextPageToken": mark} if mark else {})})

    def _described(self, key: str) -> dict[str, str]:
        item = self.objects[key]
        told = {"kind": "storage#object", "bucket": BUCKET, "generation": "1", "metageneration": "1"}
        return {**told, "name": key, "size": str(len(item.body)), "updated": f"{item.at:%Y-%m-%dT%H:%M:%S}Z"}

    def _azure(self, request: Request, path: str) -> Response:
        query = request.query_params
        if query.get("action") == "getAccessControl":  # a plain account, without folders of its own
            return Response(headers={"x-ms-error-code": "HierarchicalNamespaceNotEnabled"}, status_code=400)
        if query.get("comp") != "list":
            return self._content(request, path.removeprefix(f"/{ACCOUNT}/{BUCKET}/"), "x-ms-range")
        prefix = query.get("prefix", "")
        keys, mark = self._listed(prefix, query.get("marker", ""))
        folders = sorted(
            {f"{prefix}{key[len(prefix) :].partition('/')[0]}/" for key in keys if "/" in key[len(prefix) :]}
        )
        items = "".join(self._blob(key) for key in keys if "/" not in key[len(prefix) :])
        items += "".join(f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in folders)
        body = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{BUCKET}"><Blobs>{items}</Blobs>'
            f"<NextMarker>{escape(mark)}</NextMarker></EnumerationResults>"
        )
        return Response(body, media_type="application/xml")

    def _blob(self, key: str) -> str:
        item = self.objects[key]
        return (
            f"<Blob><Name>{escape(key)}</Name><Properties><Creation-Time>{item.http_time}</Creation-Time>"
            f"<Last-Modified>{item.http_time}</Last-Modified><Etag>0x1</Etag><Content-Length>{len(item.body)}"
            "</Content-Length><Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
        )

    def _content(self, request: Request, key: str, header: str) -> Response:
        item = self.objects.get(key)
        if item is None:
            return Response(status_code=404)
        told = {"last-modified": item.http_time, "etag": '"0x1"', "x-ms-blob-type": "BlockBlob"}
        told |= {"x-ms-creation-time": item.http_time, "x-ms-server-encrypted": "true", "accept-ranges": "bytes"}
        if request.method == "HEAD":
            return Response(headers={**told, "content-length": str(len(item.body))})
        span = request.headers.get(header, "") or request.headers.get("range", "")
        if not span:
            return Response(item.body, headers=told)
        first, _, last = span.removeprefix("bytes=").partition("-")
        end = min(int(last or len(item.body)), len(item.body) - 1)
        told["content-range"] = f"bytes {first}-{end}/{len(item.body)}"
        return Response(item.body[int(first) : end + 1], 206, headers=told)
