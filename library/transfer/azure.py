"""Copies to Azure Blob Storage (extra ``azure``). A blob's blocks carry their MD5 in their ids, so a killed copy goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import (
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContentSettings,
    LinearRetry,
    generate_blob_sas,
)

from library.transfer.base import CHANGED, Forget, Progress, TransferFailed, part_bytes
from library.transfer.reasons import azure_reason

BLOCK_BYTES: Final = 8 * 1024 * 1024
MOST_BLOCKS: Final = 50_000


class AzureTarget:
    """One container. ``connection`` is the storage account's connection string."""

    def __init__(self, *, container: str, connection: str, timeout_s: float = 60.0) -> None:
        self._container = container
        try:
            self._service = BlobServiceClient.from_connection_string(
                connection,
                retry_policy=LinearRetry(backoff=1, retry_total=1, random_jitter_range=0),
                connection_timeout=min(10.0, timeout_s),
                read_timeout=timeout_s,
                permit_redirects=False,
            )
        except ValueError:
            # The library's own text may repeat the string.
            raise ValueError("access_key must be a storage account’s connection string") from None

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return str(self._service.url)

    def put(
        self, source: Path, name: str, sha256: str, progress: Progress | None = None, mime: str = ""
    ) -> str:
        """See ``Target.put``. The address is the blob's URL without any signature."""
        kept = progress or Forget()
        size = source.stat().st_size
        part = int(kept.state.get("part_bytes") or part_bytes(size, BLOCK_BYTES, MOST_BLOCKS))
        blob = self._blob(name)
        with _told():
            staged = self._staged(blob)
            whole, md5, copied = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
            ids: list[str] = []
            with source.open("rb") as file:
                while data := file.read(part):
                    whole.update(data)
                    md5.update(data)
                    ids.append(_block_id(len(ids), data))
                    if staged.get(ids[-1]) != len(data):
                        blob.stage_block(ids[-1], data, length=len(data), validate_content=True)
                    copied += len(data)
                    kept.save({"part_bytes": part}, copied)
            if whole.hexdigest() != sha256:
                raise TransferFailed(CHANGED)
            about = ContentSettings(
                content_type=mime or "application/octet-stream", content_md5=bytearray(md5.digest())
            )
            blob.commit_block_list([BlobBlock(each) for each in ids], about, metadata={"sha256": sha256})
            self._confirm(blob, name, ids, size)
        kept.save({}, size)
        return f"{self.endpoint.split('?')[0].rstrip('/')}/{self._container}/{quote(name)}"

    def _staged(self, blob: BlobClient) -> dict[str, int]:
        """Blocks that are there already, of an unfinished or a finished copy, and their sizes."""
        try:
            committed, uncommitted = blob.get_block_list("all")
        except ResourceNotFoundError as error:
            if _code(error) == "BlobNotFound":
                return {}
            raise
        return {str(block.id): int(block.size or 0) for block in (*committed, *uncommitted)}

    def _confirm(self, blob: BlobClient, name: str, ids: list[str], size: int) -> None:
        """The committed blob must be exactly our blocks: each was checked on arrival against the MD5 in its id."""
        found = blob.get_blob_properties()
        blocks, _ = blob.get_block_list("committed")
        if found.size != size or [str(block.id) for block in blocks] != ids:
            blob.delete_blob()
            raise TransferFailed(
                f"The copy of {name} differs from the file here. It was deleted and will be copied again."
            )

    def size(self, name: str) -> int | None:
        with _told():
            try:
                return int(self._blob(name).get_blob_properties().size)
            except ResourceNotFoundError as error:
                if _code(error) == "ContainerNotFound":
                    raise
                return None

    def read(self, name: str, start: int, length: int) -> Iterator[bytes]:
        if length <= 0:
            return
        with _told():
            yield from self._blob(name).download_blob(offset=start, length=length).chunks()

    def delete(self, name: str) -> None:
        with _told():
            try:
                self._blob(name).delete_blob(delete_snapshots="include")
            except ResourceNotFoundError:
                return

    def forget(self, name: str, state: dict[str, Any]) -> None:
        """Azure removes blocks that were never committed by itself after a week."""

    def link(self, name: str, life_s: int, download_name: str) -> str | None:
        key = getattr(self._service.credential, "account_key", None)
        if not key:
            return None  # a connection string with a shared access signature cannot sign others
        now = datetime.now(UTC)
        signature = generate_blob_sas(
            account_name=str(self._service.account_name),
            container_name=self._container,
            blob_name=name,
            account_key=key,
            permission=BlobSasPermissions(read=True),
            start=now - timedelta(minutes=5),
            expiry=now + timedelta(seconds=life_s),
            content_disposition=f"attachment; filename*=UTF-8''{quote(download_name, safe='')}",
        )
        return f"{self._blob(name).url}?{signature}"

    def _blob(self, name: str) -> BlobClient:
        return self._service.get_blob_client(self._container, name)


def _block_id(number: int, data: bytes) -> str:
    """Ids of one blob must all have one length."""
    return f"{number:06d}-{hashlib.md5(data, usedforsecurity=False).hexdigest()}"


def _code(error: HttpResponseError) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


class _told:
    """Turns the library's errors into TransferFailed with a sentence that says what to do."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, HttpResponseError):
            raise TransferFailed(azure_reason(_code(error), error.status_code or 0)) from None
        if isinstance(error, AzureError):
            raise TransferFailed(azure_reason("", 0)) from None
