"""Decides which records of a ledger count: those that a tag of the model itself, a voucher, vouches for.

MLflow lets every user create a registered model and makes its creator the owner. So `<name>.promotions` may
belong to somebody who can only read `<name>`. Only those who may edit `<name>` can set its tags.

For each decision, `<name>` gets the tag `promotion.<id>` with the digest of the decision's record, before the
record is written. Once the record is written, its number is added to the tag. A record without such a tag is
ignored. A record that was changed, renumbered or deleted raises an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.json import from_json
from paddle_int8.tasks.promotion.decision import Decision

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RECORD, ID = "record", "id"
"""The tags of a version in the ledger: the decision as JSON, and its id, by which the version is found."""
PREFIX = "promotion."


def vouch(client: MlflowClient, name: str, decision_id: str, record: str) -> None:
    """Sets the tag of `name` that makes the record count. MLflow refuses users who may not edit `name`."""
    client.set_registered_model_tag(name, PREFIX + decision_id, _digest(record))


def confirm(client: MlflowClient, name: str, decision_id: str, record: str, number: int) -> None:
    """Adds the record's number to its tag, so that from now on a deletion is noticed."""
    client.set_registered_model_tag(name, PREFIX + decision_id, f"{_digest(record)} {number}")


def counted(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> tuple[Decision, ...]:
    """The decisions in the ledger's versions that the tags of the model vouch for.

    Read `tags` after `versions`; otherwise a record that is written in between would not count.
    Raises: RegistryError when a record was changed by hand.
    """
    vouched = [version for version in versions if PREFIX + version.tags.get(ID, "") in tags]
    return tuple(_decoded(version, tags[PREFIX + version.tags[ID]]) for version in vouched)


def missing(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> set[str]:
    """The numbers of the records that were written but are not among the versions."""
    written_down = (tag.partition(" ")[2] for key, tag in tags.items() if key.startswith(PREFIX))
    return {number for number in written_down if number} - {str(version.version) for version in versions}


def _decoded(version: ModelVersion, voucher: str) -> Decision:
    record = version.tags.get(RECORD, "")
    digest, _, number = voucher.partition(" ")
    if digest != _digest(record) or number not in ("", str(version.version)):
        raise _changed(version)
    try:
        return replace(from_json(Decision, record), number=int(version.version))
    except ValidationError as error:
        raise _changed(version) from error


def _changed(version: ModelVersion) -> RegistryError:
    return RegistryError(
        found=f"version {version.version} of {version.name} is not the decision that was recorded",
        required=f"a decision as JSON in its tag `{RECORD}`, as it was written",
        remedy="restore the tag; versions of this model are written by `paddle-int8` only",
    )


def _digest(record: str) -> str:
    return hashlib.sha256(record.encode()).hexdigest()
