"""Copies of finished files at other places. ``make_target`` knows every kind; what is copied when stands elsewhere."""

from __future__ import annotations

from pathlib import Path

from library.storage_config import StorageConfig
from library.transfer.base import Forget, Interrupted, Progress, Target, TransferFailed
from library.transfer.local import LocalTarget
from library.transfer.s3 import S3Target
from models.outbound import Guard

__all__ = [
    "Forget",
    "Interrupted",
    "Progress",
    "Target",
    "TransferFailed",
    "endpoint_of",
    "make_target",
]

DEFAULT_REGION = "us-east-1"
"""What stores that have no regions expect to be called."""


def make_target(config: StorageConfig, *, allow_private: bool = False, timeout_s: float = 60.0) -> Target:
    """The target of a configuration with its credentials.

    Raises TransferFailed when its endpoint may not be used (the guard's text) or what it needs is not installed.
    """
    if config.type == "local":
        return LocalTarget(Path(config.path))
    try:
        if config.type == "azure":
            return _azure(config, allow_private, timeout_s)
        endpoint = endpoint_of(config)
        if endpoint is not None:
            _guard(allow_private).check(endpoint)
    except ValueError as error:
        raise TransferFailed(str(error)) from None
    return S3Target(
        bucket=config.bucket,
        access_key=config.credentials["access_key"],
        secret=config.credentials["secret"],
        region=config.region or DEFAULT_REGION,
        endpoint_url=endpoint,
        sha256_parts=config.type == "aws",
        timeout_s=timeout_s,
    )


def endpoint_of(config: StorageConfig) -> str | None:
    """Where an S3 configuration leads; None: Amazon, which boto3 knows by the region."""
    if config.type == "digitalocean":
        return f"https://{config.region}.digitaloceanspaces.com"
    return config.endpoint_url or None


def _guard(allow_private: bool) -> Guard:
    return Guard(allow_private, "SIDEROOM_STORAGE_PRIVATE_ENDPOINTS")


def _azure(config: StorageConfig, allow_private: bool, timeout_s: float) -> Target:
    try:
        from library.transfer.azure import AzureTarget
    except ImportError:
        raise TransferFailed(
            "Azure needs the package azure-storage-blob, which isn’t installed here. "
            "An administrator can install it with: pip install 'sideroom[azure]'"
        ) from None
    target = AzureTarget(
        container=config.bucket, connection=config.credentials["access_key"], timeout_s=timeout_s
    )
    _guard(allow_private).check(target.endpoint.split("?")[0])
    return target
