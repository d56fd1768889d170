"""What a storage configuration may say: the ``storage_config`` of the API, checked field by field. Touches no network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rooms.errors import DomainError

SECRET_FIELDS: Final = frozenset({"access_key", "secret"})
"""Write-only: sealed in the database, never in an answer or a log."""


@dataclass(frozen=True, slots=True)
class _Type:
    required: frozenset[str]
    optional: frozenset[str]
    must_be_empty: frozenset[str] = frozenset()


TYPES: Final[dict[str, _Type]] = {
    "local": _Type(frozenset({"path"}), frozenset()),
    "aws": _Type(frozenset({"access_key", "secret", "bucket", "region"}), frozenset({"path"})),
    "digitalocean": _Type(frozenset({"access_key", "secret", "bucket", "region"}), frozenset({"path"})),
    "s3": _Type(frozenset({"access_key", "secret", "bucket", "endpoint_url"}), frozenset({"path", "region"})),
    "azure": _Type(frozenset({"access_key", "bucket"}), frozenset({"path"}), frozenset({"secret", "region"})),
}

_ELSEWHERE: Final = {
    "gcs": "Google Cloud Storage is used as type s3 with its HMAC keys and endpoint_url https://storage.googleapis.com.",
    "cloudflare": "Cloudflare R2 is used as type s3 with endpoint_url https://<account id>.r2.cloudflarestorage.com.",
    "sftp": "SFTP isn’t supported. Use aws, azure, digitalocean or s3.",
}
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTAINER: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_FOLDERS: Final = re.compile(r"[A-Za-z0-9!_.'()-]+(?:/[A-Za-z0-9!_.'()-]+)*")
_MAX_CHARS: Final = 2048


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """A checked configuration. ``credentials`` is kept apart: nothing that prints this shows it."""

    type: str
    bucket: str = ""
    region: str = ""
    endpoint_url: str = ""
    path: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    def public(self) -> dict[str, str]:
        """Everything but the credentials."""
        given = {name: getattr(self, name) for name in ("type", "bucket", "region", "endpoint_url", "path")}
        return {name: value for name, value in given.items() if value}


def read_config(config: Mapping[str, Any], *, local: bool = False) -> StorageConfig:
    """Check a ``storage_config``. ``local``: may it be a folder of this server? Raises ``bad_value`` with the field."""
    kind = config.get("type")
    types = [name for name in TYPES if local or name != "local"]
    if not isinstance(kind, str) or kind not in types:
        more = _ELSEWHERE.get(kind, "") if isinstance(kind, str) else ""
        raise _bad("type", more or f"The storage type is one of {', '.join(types)}.")
    spec = TYPES[kind]
    values: dict[str, str] = {}
    for name, value in config.items():
        if name == "type" or (value is None and name not in spec.required):
            continue
        if not isinstance(name, str) or name not in spec.required | spec.optional | spec.must_be_empty:
            raise _bad(str(name), f"Storage of type {kind} doesn’t have this field.")
        if not isinstance(value, str) or len(value) > _MAX_CHARS or any(ord(each) < 32 for each in value):
            raise _bad(name, f"Enter at most {_MAX_CHARS} characters.")
        if name in spec.must_be_empty and value:
            raise _bad(name, f"Storage of type {kind} doesn’t use this. Leave it empty.")
        values[name] = value.strip()
    for name in sorted(spec.required):
        if not values.get(name):
            raise _bad(name, f"Storage of type {kind} needs this.")
    return _checked(kind, values)


def _checked(kind: str, values: dict[str, str]) -> StorageConfig:
    credentials = {name: values.pop(name) for name in list(values) if name in SECRET_FIELDS and values[name]}
    values = {name: value for name, value in values.items() if value}
    if kind == "local":
        if not Path(values["path"]).is_absolute():
            raise _bad("path", "Enter an absolute folder, such as /mnt/recordings.")
        return StorageConfig(kind, path=values["path"])
    values["path"] = values.get("path", "").strip("/")
    path = values["path"]
    if path and (not _FOLDERS.fullmatch(path) or len(path) > 500 or {".", ".."} & set(path.split("/"))):
        raise _bad("path", "Use letters, digits and ! _ . ' ( ) - in folder names, with / between them.")
    if not (_CONTAINER if kind == "azure" else _BUCKET).fullmatch(values["bucket"]):
        raise _bad("bucket", "A bucket’s name must have 3 to 63 lowercase letters, digits and hyphens.")
    if "region" in values:
        values["region"] = values["region"].lower()
        if not _REGION.fullmatch(values["region"]):
            raise _bad("region", "Enter the region as the provider writes it, such as ap-south-1 or SGP1.")
    if "endpoint_url" in values:
        if "?" in values["endpoint_url"]:
            raise _bad(
                "endpoint_url", "Enter the endpoint as https://host or https://host:port, without a query."
            )
        values["endpoint_url"] = values["endpoint_url"].rstrip("/")
    return StorageConfig(kind, credentials=credentials, **values)


def _bad(field_name: str, message: str) -> DomainError:
    return DomainError("bad_value", message, field=f"storage_config.{field_name}")
