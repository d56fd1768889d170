"""What a store's refusal means for the person who set it up: one sentence that says what happened and what to do."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, SSLError
from urllib3.exceptions import HTTPError

_RIGHTS: Final = (
    "The store refused this key. Give it the rights to put, get and delete objects, and to list and abort multipart "
    "uploads, in this bucket; and check that no bucket rule or network rule forbids it."
)
_CLOCK: Final = "This server's clock is more than 15 minutes off, so the store refuses its signatures. Set the clock (NTP)."
_BUSY: Final = "The store has trouble or asks us to slow down. Nothing to do: it is tried again."
_FULL: Final = "The store is full or its quota is used up. Make room or raise the quota."
_REGION: Final = "The bucket is in another region. Correct the region of this storage."
_KEY: Final = "The store does not know this access key. Check the access key."
_SECRET: Final = "The secret does not fit the access key. Enter the secret again."  # noqa: S105 - a sentence

_S3: Final[dict[str, str]] = {
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "403": _RIGHTS,
    "InvalidAccessKeyId": _KEY,
    "SignatureDoesNotMatch": _SECRET,
    "NoSuchBucket": "There is no such bucket. Check its name and region, or create it.",
    "PermanentRedirect": _REGION,
    "301": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "ExpiredToken": _CLOCK,
    "QuotaExceeded": _FULL,
    "XMinioStorageFull": _FULL,
    "InsufficientStorage": _FULL,
    "507": _FULL,
    "BadDigest": "A part was damaged on its way and refused by the store. It is sent again.",
    "InvalidDigest": "A part was damaged on its way and refused by the store. It is sent again.",
    "XAmzContentSHA256Mismatch": "A part was damaged on its way and refused by the store. It is sent again.",
    "InvalidObjectState": "The object was moved to cold storage there. Restore it at the store first.",
    "NoSuchKey": "The copy is not at the store any more.",
    "404": "The copy, or the bucket, is not at the store any more.",
}

_AZURE: Final[dict[str, str]] = {
    "AuthenticationFailed": "The store refused the connection string. Copy it again from the storage account, and check this server's clock (NTP).",
    "AuthorizationFailure": "The store refused this connection string here. Check its rights and the storage account's network rules.",
    "AuthorizationPermissionMismatch": "The connection string may not do this. Give it the rights to read, create, write and delete blobs.",
    "AccountIsDisabled": "The storage account is disabled. Enable it, or use another.",
    "ContainerNotFound": "There is no such container. Check its name, or create it.",
    "ContainerBeingDeleted": "The container is being deleted. Use another, or create it again.",
    "BlobNotFound": "The copy is not at the store any more.",
    "ServerBusy": _BUSY,
    "Md5Mismatch": "A block was damaged on its way and refused by the store. It is sent again.",
    "BlobArchived": "The blob was moved to the archive tier. Rehydrate it first.",
}

_STATUS: Final[dict[int, str]] = {403: _RIGHTS, 401: _KEY, 429: _BUSY, 507: _FULL}


def s3_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def s3_reason(error: ClientError | BotoCoreError | HTTPError) -> str:
    """A sentence for boto3's errors. Never the library's own text: it may name addresses and keys."""
    if isinstance(error, ClientError):
        code = s3_code(error)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return _named(_S3.get(code) or _by_status(status), code or str(status))
    if isinstance(error, SSLError):
        return CERTIFICATE
    if isinstance(error, ConnectionError | HTTPClientError | HTTPError):
        return UNREACHABLE
    return f"The store could not be used ({type(error).__name__}). Check this storage's settings."


def azure_reason(code: str, status: int) -> str:
    """A sentence for an answer of Azure Blob; ``status`` 0: there was no answer."""
    if not code and not status:
        return UNREACHABLE
    return _named(_AZURE.get(code) or _by_status(status), code or str(status))


def _by_status(status: int) -> str:
    if status in _STATUS:
        return _STATUS[status]
    return _BUSY if status >= 500 else "The store refused the request. Check this storage's settings."


def _named(sentence: str, code: str) -> str:
    return f"{sentence} ({code})"


UNREACHABLE: Final = "The store does not answer, or too slowly. Check its address and the network; it is tried again by itself."
CERTIFICATE: Final = (
    "The store's certificate is not valid, so nothing was sent. Correct the endpoint or its certificate."
)
