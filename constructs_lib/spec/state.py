"""Where Terraform keeps its state: `state:` of cluster.yaml, by its kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from constructs_lib.spec import fields as f
from constructs_lib.spec.group import Group
from constructs_lib.spec.rules import AlwaysTrue


class LocalState(Group):
    """Terraform state in .clustermesos/state/, mode 0700."""

    kind: Literal["local"] = "local"
    """local"""


class S3State(Group):
    """Terraform state in an S3 bucket; encryption can't be switched off."""

    kind: Literal["s3"]
    """s3"""
    bucket: f.BucketName
    """A bucket that exists."""
    region: f.Region
    """The bucket's region."""
    endpoint: f.ApiUrl | None = None
    """A store that speaks S3 at this address instead of AWS, such as Ceph's; it has to encrypt as S3 does."""
    prefix: f.StatePrefix = "clustermesos"
    """Stands before each stack's key."""
    encrypt: Annotated[Literal[True], AlwaysTrue("state holds secrets and is always encrypted")] = True
    """Always true."""
    kms_key_id: f.StateKmsKey | None = None
    """Your own key; the default is the bucket's."""
    dynamodb_table: f.TableName | None = None
    """Locks in this table."""
    use_lockfile: f.Switch | None = None
    """Locks in the bucket itself (Terraform or OpenTofu 1.10 and newer); the default without a table."""


class HttpState(Group):
    """Terraform state behind an HTTPS endpoint; `{stack}` in the addresses is the stack's name."""

    kind: Literal["http"]
    """http"""
    address: f.StateUrl
    """Where state is read and written."""
    lock_address: f.StateUrl | None = None
    """Where it is locked; without it nothing locks."""
    unlock_address: f.StateUrl | None = None
    """Where it is unlocked."""
    encrypted: Annotated[
        Literal[True], AlwaysTrue("state holds secrets, so say that your server encrypts what it keeps")
    ]
    """You say so: the server encrypts what it keeps (nobody can check it from here)."""


class GcsState(Group):
    """Terraform state in a Google Cloud Storage bucket, which always encrypts."""

    kind: Literal["gcs"]
    """gcs"""
    bucket: f.BucketName
    """A bucket that exists."""
    prefix: f.StatePrefix = "clustermesos"
    """Stands before each stack's key."""


class AzurermState(Group):
    """Terraform state in an Azure blob container, which always encrypts."""

    kind: Literal["azurerm"]
    """azurerm"""
    resource_group_name: f.ResourceGroup
    """The storage account's resource group."""
    storage_account_name: f.StorageAccount
    """A storage account that exists."""
    container_name: f.Container
    """A container that exists."""
    prefix: f.StatePrefix = "clustermesos"
    """Stands before each stack's key."""


StateSpec = Annotated[LocalState | S3State | HttpState | GcsState | AzurermState, Field(discriminator="kind")]
