"""Recognises a registered model that was renamed in MLflow.

Renaming `digits` to `numbers` keeps the model's versions and tags, but its decisions stay in
`digits.promotions`. The model's vouchers (`vouchers`), which are tags, show that the two belong together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.promotion.vouchers import ID, PREFIX, counted, missing
from paddle_int8.tasks.tracking.registry import PROMOTIONS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DECISION_ID = re.compile(r"[\w-]+")


def versions_of(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of the registered model."""
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
        found += page
        if not (token := page.token):
            return found


def require_not_renamed(client: MlflowClient, name: str) -> None:
    """Checks whether a model that is not in the registry was renamed.

    Raises: RegistryError when it is there under another name.
    """
    if new := _new_name(client, versions_of(client, name + PROMOTIONS)):
        raise RegistryError(
            found=f"no model {name} in the registry: it was renamed to {new}",
            required="a registered model",
            remedy=f"use {new}, and in MLflow rename its decisions {name}{PROMOTIONS} to {new}{PROMOTIONS}",
        )


def lost_decisions(client: MlflowClient, name: str, tags: Mapping[str, str], numbers: str) -> RegistryError:
    """The error for a model whose decisions with these `numbers` are missing. `tags` are the model's."""
    if (old := _former_ledger(client, tags)) and old != name + PROMOTIONS:
        return RegistryError(
            found=f"the decisions on {name} in {old}: the model was renamed, and they were not",
            required=f"every decision that was recorded, in {name}{PROMOTIONS}",
            remedy=f"rename {old} to {name}{PROMOTIONS} in MLflow, such as with "
            f"`MlflowClient().rename_registered_model({old!r}, {name + PROMOTIONS!r})`",
        )
    return RegistryError(
        found=f"no version {numbers} of {name}{PROMOTIONS}, which was written",
        required="every decision that was recorded",
        remedy=f"find out who deleted it; to forget such a decision, delete the tag of {name} that names it",
    )


def _new_name(client: MlflowClient, records: Sequence[ModelVersion]) -> str | None:
    """The name of the model that vouches for one of the records; None when no model does."""
    for record in reversed(records):
        if DECISION_ID.fullmatch(decision := record.tags.get(ID, "")):
            for model in client.search_registered_models(f"tags.`{PREFIX}{decision}` LIKE '%'"):
                return str(model.name)
    return None


def _former_ledger(client: MlflowClient, tags: Mapping[str, str]) -> str | None:
    """The name of the ledger that holds all records that the model's tags vouch for, unchanged."""
    decision = next((key.removeprefix(PREFIX) for key in tags if key.startswith(PREFIX)), "")
    if not DECISION_ID.fullmatch(decision):
        return None
    for ledger in {version.name for version in client.search_model_versions(f"tags.{ID} = '{decision}'")}:
        versions = versions_of(client, ledger)
        if ledger.endswith(PROMOTIONS) and not missing(versions, tags) and _unchanged(versions, tags):
            return str(ledger)
    return None


def _unchanged(versions: Sequence[ModelVersion], tags: Mapping[str, str]) -> bool:
    try:
        return bool(counted(versions, tags))
    except RegistryError:
        return False
