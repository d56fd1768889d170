"""What a store's refusal means for the person who set it up: one sentence that says what happened and what to do."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, SSLError
from urllib3.exceptions import HTTPError

_RIGHTS: Final = (
    "The storage refused this key. Give it permission to put, get and delete objects, and to list and abort multipart "
    "uploads, in this bucket; and check that no bucket rule or network rule forbids it."
)
_CLOCK: Final = "This server’s clock is more than 15 minutes off, so the storage refuses its signatures. Set the clock (NTP)."
_BUSY: Final = (
    "The storage has trouble or asks us to slow down. We’ll keep trying; you don’t need to do anything."
)
_FULL: Final = "The storage is full or over its quota. Free up space or raise the quota."
_REGION: Final = "The bucket is in another region. Correct the region of this storage."
_KEY: Final = "The storage doesn’t know this access key. Check the access key."
_SECRET: Final = "The secret doesn’t match the access key. Enter the secret again."  # noqa: S105 - a sentence

_S3: Final[dict[str, str]] = {
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "403": _RIGHTS,
    "InvalidAccessKeyId": _KEY,
    "SignatureDoesNotMatch": _SECRET,
    "NoSuchBucket": "This bucket doesn’t exist. Check its name and region, or create it.",
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
    "BadDigest": "A part was damaged in transit and refused by the storage. It will be sent again.",
    "InvalidDigest": "A part was damaged in transit and refused by the storage. It will be sent again.",
    "XAmzContentSHA256Mismatch": "A part was damaged in transit and refused by the storage. It will be sent again.",
    "InvalidObjectState": "The object was moved to cold storage there. Restore it at the storage provider first.",
    "NoSuchKey": "The copy is no longer at the storage.",
    "404": "The copy, or the bucket, is no longer at the storage.",
}

_AZURE: Final[dict[str, str]] = {
    "AuthenticationFailed": "The storage refused the connection string. Copy it again from the storage account, and check this server’s clock (NTP).",
    "AuthorizationFailure": "The storage refused this connection string. Check its permissions and the storage account’s network rules.",
    "AuthorizationPermissionMismatch": "The connection string doesn’t allow this. Give it permission to read, create, write and delete blobs.",
    "AccountIsDisabled": "The storage account is disabled. Enable it, or use another.",
    "ContainerNotFound": "This container doesn’t exist. Check its name, or create it.",
    "ContainerBeingDeleted": "The container is being deleted. Use another, or create it again.",
    "BlobNotFound": "The copy is no longer at the storage.",
    "ServerBusy": _BUSY,
    "Md5Mismatch": "A block was damaged in transit and refused by the storage. It will be sent again.",
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
    return f"The storage couldn’t be used ({type(error).__name__}). Check this storage’s settings."


def azure_reason(code: str, status: int) -> str:
    """A sentence for an answer of Azure Blob; ``status`` 0: there was no answer."""
    if not code and not status:
        return UNREACHABLE
    return _named(_AZURE.get(code) or _by_status(status), code or str(status))


def _by_status(status: int) -> str:
    if status in _STATUS:
        return _STATUS[status]
    return _BUSY if status >= 500 else "The storage refused the request. Check this storage’s settings."


def _named(sentence: str, code: str) -> str:
    return f"{sentence} ({code})"


UNREACHABLE: Final = (
    "The storage isn’t responding, or is too slow. Check its address and the network. We’ll keep trying."
)
CERTIFICATE: Final = (
    "The storage’s certificate isn’t valid, so nothing was sent. Correct the endpoint or its certificate."
)
