"""Which records of a ledger count: those that the model's own tags vouch for.

MLflow lets every user create a registered model and makes its creator the owner, so `<name>.promotions` may
belong to somebody who can only read `<name>`. Tags of `<name>` are set by who may edit it, and by nobody
else: each decision has the tag `promotion.<id>` there with its record's digest, written before the record
itself, and afterwards with the record's number too. A record without its tag counts for nothing; one that
was changed, numbered anew or deleted stops everything, loudly.
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
"""The tags of a ledger's version: the decision as JSON, and its id, to search for."""
PREFIX = "promotion."


def vouch(client: MlflowClient, name: str, decision_id: str, record: str) -> None:
    """Says on `name` that the record is to count. MLflow refuses it to who may not edit `name`."""
    client.set_registered_model_tag(name, PREFIX + decision_id, _digest(record))


def confirm(client: MlflowClient, name: str, decision_id: str, record: str, number: int) -> None:
    """Adds the number that the record has got: from now on its absence is seen."""
    client.set_registered_model_tag(name, PREFIX + decision_id, f"{_digest(record)} {number}")


def counted(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> tuple[Decision, ...]:
    """The decisions of the ledger's versions that the tags of its model vouch for.

    `tags` are to be read after `versions`, or a record that was written in between would not count.
    Raises: RegistryError when one was changed by hand.
    """
    vouched = [version for version in versions if PREFIX + version.tags.get(ID, "") in tags]
    return tuple(_decoded(version, tags[PREFIX + version.tags[ID]]) for version in vouched)


def missing(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> set[str]:
    """The numbers of records that were written, and are not among the versions."""
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
