"""Copies to Amazon S3 and to whatever speaks its protocol (DigitalOcean Spaces, MinIO, Ceph, R2, …), by boto3.

A large file goes in parts, each with its MD5 (and SHA-256 at Amazon), which the store checks on arrival. Which upload and
which parts is remembered, so that a killed copy goes on. An object is visible only when it is complete.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from library.transfer.base import CHANGED, PIECE, Forget, Progress, TransferFailed, part_bytes
from library.transfer.reasons import s3_code, s3_reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_BYTES: Final = 8 * 1024 * 1024
"""S3's least is 5 MiB; what a kill costs at most."""
MOST_PARTS: Final = 10_000
_MD5: Final = re.compile(r"[0-9a-f]{32}(-\d+)?")
_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Target:
    """One bucket. ``endpoint_url`` None: Amazon's own. ``sha256_parts``: the store checks SHA-256 too (Amazon does)."""

    def __init__(
        self,
        *,
        bucket: str,
        access_key: str,
        secret: str,
        region: str,
        endpoint_url: str | None = None,
        sha256_parts: bool = False,
        timeout_s: float = 60.0,
    ) -> None:
        self._bucket = bucket
        self._sha256_parts = sha256_parts
        self._client: S3Client = boto3.session.Session().client(
            "s3",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            region_name=region,
            endpoint_url=endpoint_url,
            config=Config(
                connect_timeout=min(10.0, timeout_s),
                read_timeout=timeout_s,
                retries={"total_max_attempts": 2, "mode": "standard"},
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint_url else "auto"},
                # Newer boto3 adds CRC32 trailers that many compatible stores refuse; MD5 is sent with each part instead.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    # -- copying -----------------------------------------------------------------------------------------------

    def put(
        self, source: Path, name: str, sha256: str, progress: Progress | None = None, mime: str = ""
    ) -> str:
        """See ``Target.put``. The address is ``s3://bucket/name``."""
        kept = progress or Forget()
        size = source.stat().st_size
        with _told():
            if not self._is_there(name, size, sha256):
                part = int(kept.state.get("part_bytes") or part_bytes(size, PART_BYTES, MOST_PARTS))
                if size <= part:
                    tag = self._put_whole(source, name, sha256, mime)
                else:
                    tag = self._put_parts(source, name, sha256, mime, kept, part)
                self._confirm(name, size, sha256, tag)
        kept.save({}, size)
        return f"s3://{self._bucket}/{name}"

    def _is_there(self, name: str, size: int, sha256: str) -> bool:
        """Was it copied before? Our own note of the SHA-256 is believed only if the bytes can be shown to have it."""
        head = self._head(name)
        if head is None or head["ContentLength"] != size or head.get("Metadata", {}).get("sha256") != sha256:
            return False
        return self._sha256_there(name, size) == sha256

    def _put_whole(self, source: Path, name: str, sha256: str, mime: str) -> str:
        data = source.read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise TransferFailed(CHANGED)
        self._client.put_object(
            Bucket=self._bucket, Key=name, Body=data, **self._about(sha256, mime), **self._checks(data)
        )
        return hashlib.md5(data, usedforsecurity=False).hexdigest()

    def _put_parts(self, source: Path, name: str, sha256: str, mime: str, kept: Progress, part: int) -> str:
        upload_id, there = self._resume(name, kept)
        if upload_id is None:
            upload_id = self._begin(name, sha256, mime)
            kept.save({"upload_id": upload_id, "part_bytes": part, "parts": []}, 0)
        whole, copied = hashlib.sha256(), 0
        tags: list[bytes] = []
        parts: list[dict[str, Any]] = []
        with source.open("rb") as file:
            while data := file.read(part):
                number, md5 = len(parts) + 1, hashlib.md5(data, usedforsecurity=False)
                whole.update(data)
                found = there.get(number)
                if found is None or found["md5"] != md5.hexdigest() or found["size"] != len(data):
                    found = self._put_part(name, upload_id, number, data)
                parts.append(found)
                tags.append(md5.digest())
                copied += len(data)
                kept.save({"upload_id": upload_id, "part_bytes": part, "parts": parts}, copied)
        if whole.hexdigest() != sha256:
            self._abort(name, upload_id)
            kept.save({}, 0)
            raise TransferFailed(CHANGED)
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=name,
            UploadId=upload_id,
            MultipartUpload={
                "Parts": cast(Any, [_completed(number, one) for number, one in enumerate(parts, 1)])
            },
        )
        return f"{hashlib.md5(b''.join(tags), usedforsecurity=False).hexdigest()}-{len(tags)}"

    def _begin(self, name: str, sha256: str, mime: str) -> str:
        more: dict[str, Any] = {"ChecksumAlgorithm": "SHA256"} if self._sha256_parts else {}
        begun = self._client.create_multipart_upload(
            Bucket=self._bucket, Key=name, **self._about(sha256, mime), **more
        )
        return begun["UploadId"]

    def _put_part(self, name: str, upload_id: str, number: int, data: bytes) -> dict[str, Any]:
        sent = self._checks(data)
        answer = self._client.upload_part(
            Bucket=self._bucket, Key=name, UploadId=upload_id, PartNumber=number, Body=data, **sent
        )
        return {
            "etag": answer["ETag"],
            "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "size": len(data),
            "sha256": sent.get("ChecksumSHA256"),
        }

    def _resume(self, name: str, kept: Progress) -> tuple[str | None, dict[int, dict[str, Any]]]:
        """The unfinished upload and its parts that the store really has.

        A part may have arrived without our noting it: its ETag tells its MD5, where ETags do (not in encrypted buckets).
        """
        upload_id = kept.state.get("upload_id")
        if not upload_id:
            return None, {}
        ours = dict(enumerate(kept.state.get("parts", []), 1))
        there: dict[int, dict[str, Any]] = {}
        try:
            pages = self._client.get_paginator("list_parts")
            for page in pages.paginate(Bucket=self._bucket, Key=name, UploadId=upload_id):
                for part in page.get("Parts", []):
                    noted = ours.get(part["PartNumber"])
                    there[part["PartNumber"]] = (
                        noted
                        if noted is not None and noted["etag"] == part["ETag"]
                        else {
                            "etag": part["ETag"],
                            "md5": part["ETag"].strip('"'),
                            "size": part["Size"],
                            "sha256": part.get("ChecksumSHA256"),
                        }
                    )
        except ClientError as error:
            if s3_code(error) in ("NoSuchUpload", *_ABSENT):
                return None, {}  # tidied away by the store's own rules: begin again
            raise
        return upload_id, there

    def _abort(self, name: str, upload_id: str) -> None:
        self._client.abort_multipart_upload(Bucket=self._bucket, Key=name, UploadId=upload_id)

    def _about(self, sha256: str, mime: str) -> dict[str, Any]:
        return {"Metadata": {"sha256": sha256}, "ContentType": mime or "application/octet-stream"}

    def _checks(self, data: bytes) -> dict[str, Any]:
        sums = {"ContentMD5": _b64(hashlib.md5(data, usedforsecurity=False).digest())}
        if self._sha256_parts:
            sums["ChecksumSHA256"] = _b64(hashlib.sha256(data).digest())
        return sums

    # -- proving -----------------------------------------------------------------------------------------------

    def _head(self, name: str) -> dict[str, Any] | None:
        try:
            return cast(dict[str, Any], self._client.head_object(Bucket=self._bucket, Key=name))
        except ClientError as error:
            if s3_code(error) in _ABSENT:
                return None
            raise

    def _confirm(self, name: str, size: int, sha256: str, tag: str) -> None:
        """Ask the store what it has now. An ETag that is no MD5 (encrypted buckets) is proven by reading back."""
        head = self._head(name)
        if head is None or head["ContentLength"] != size:
            raise TransferFailed(
                f"The storage reported {name} as stored, but it isn’t complete. It will be copied again."
            )
        found = head.get("ETag", "").strip('"')
        good = found == tag if _MD5.fullmatch(found) else False
        if not good and self._sha256_there(name, size) != sha256:
            self._client.delete_object(Bucket=self._bucket, Key=name)
            raise TransferFailed(
                f"The copy of {name} differs from the file here. It was deleted and will be copied again."
            )

    def _sha256_there(self, name: str, size: int) -> str:
        digest = hashlib.sha256()
        for piece in self._pieces(name, 0, size):
            digest.update(piece)
        return digest.hexdigest()

    # -- using -------------------------------------------------------------------------------------------------

    def size(self, name: str) -> int | None:
        with _told():
            head = self._head(name)
        return None if head is None else int(head["ContentLength"])

    def read(self, name: str, start: int, length: int) -> Iterator[bytes]:
        with _told():
            yield from self._pieces(name, start, length)

    def _pieces(self, name: str, start: int, length: int) -> Iterator[bytes]:
        if length <= 0:
            return
        answer = self._client.get_object(
            Bucket=self._bucket, Key=name, Range=f"bytes={start}-{start + length - 1}"
        )
        with closing(answer["Body"]) as body:
            yield from body.iter_chunks(PIECE)

    def delete(self, name: str) -> None:
        with _told():
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def forget(self, name: str, state: dict[str, Any]) -> None:
        """Give up an unfinished copy: its parts would go on costing money."""
        with _told():
            if state.get("upload_id"):
                try:
                    self._abort(name, state["upload_id"])
                except ClientError as error:
                    if s3_code(error) not in ("NoSuchUpload", *_ABSENT):
                        raise

    def link(self, name: str, life_s: int, download_name: str) -> str | None:
        shown = f"attachment; filename*=UTF-8''{quote(download_name, safe='')}"
        return self._client.generate_presigned_url(
            "get_object",
            Params={"Bucket": self._bucket, "Key": name, "ResponseContentDisposition": shown},
            ExpiresIn=life_s,
        )


class _told:
    """Turns the library's errors into TransferFailed with a sentence that says what to do."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (ClientError, BotoCoreError, HTTPError)):
            raise TransferFailed(s3_reason(error)) from None


def _completed(number: int, part: dict[str, Any]) -> dict[str, Any]:
    done = {"PartNumber": number, "ETag": part["etag"]}
    return done | ({"ChecksumSHA256": part["sha256"]} if part["sha256"] else {})


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
