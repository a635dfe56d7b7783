"""The ledger: all decisions on a model, kept in MLflow.

Each decision on the model `digits` is a version of a second registered model, `digits.promotions`. MLflow
numbers versions one by one in a transaction, on SQLite and PostgreSQL alike, so everybody agrees on the order
of the decisions. A decision is written before the alias moves. After a crash the two may disagree; whoever
notices it moves the alias to the version that the decisions name.

Not everything that was written to the ledger counts: tags of the model itself say which records do
(`vouchers`).
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.contracts.json import to_json
from paddle_int8.tasks.promotion.decision import Decision
from paddle_int8.tasks.promotion.records import CHAMPION, Standing, left_behind, of_model, ruled, standing
from paddle_int8.tasks.promotion.renaming import lost_decisions, require_not_renamed, versions_of
from paddle_int8.tasks.promotion.vouchers import ID, RECORD, confirm, counted, missing, vouch
from paddle_int8.tasks.tracking.connection import connection, redact
from paddle_int8.tasks.tracking.registry import PROMOTIONS, ensure_ledger

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

ATTEMPTS = 8
"""How often a record is tried to be written. MLflow by itself gives up after three others came first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Every decision on a model, oldest first, and the champion of each alias that has one."""

    name: str
    champions: dict[str, str]
    decisions: tuple[Decision, ...]


def decisions(tracking_uri: str, name: str) -> tuple[Decision, ...]:
    """Every decision on the model, oldest first. A decision that another one preceded is `lost`.

    Raises: RegistryError when MLflow refuses, or a record was changed or deleted by hand.
    """
    with connection(tracking_uri) as client:
        return _decisions(client, name)


def history(tracking_uri: str, name: str) -> History:
    """The decisions on the model, and the champion of every alias that they are about.

    Raises: RegistryError when there is no such model, or MLflow refuses.
    """
    with connection(tracking_uri) as client:
        model = _registered(client, name)
        if model is None:
            require_not_renamed(client, name)
            raise RegistryError(
                found=f"no model {name} in the registry",
                required="a registered model",
                remedy="release one first; MLflow's Models page lists those that are there",
            )
        found = _decisions(client, name)
        aliases = dict.fromkeys((CHAMPION, *of_model(found)))
        champions = {
            alias: standing(found, alias, found=_text(model.aliases.get(alias))).version for alias in aliases
        }
    return History(
        name=name,
        champions={alias: version for alias, version in champions.items() if version},
        decisions=found,
    )


def current(tracking_uri: str, name: str, alias: str) -> Standing:
    """The champion according to the decisions; before the first decision, the version at the alias.

    Raises: RegistryError when the model was renamed, or MLflow refuses.
    """
    with connection(tracking_uri) as client:
        if _registered(client, name) is None:
            require_not_renamed(client, name)
        return standing(_decisions(client, name), alias, found=alias_version(client, name, alias))


def append(tracking_uri: str, decision: Decision) -> Decision:
    """Writes the decision; returns it with its number, and as `lost` when another came first.

    A decision whose versions were all deleted is returned unwritten: MLflow has nothing to attach it to.
    Raises: RegistryError when MLflow refuses.
    """
    with connection(tracking_uri) as client:
        about = (decision.to_version, decision.from_version)
        there = [version for version in about if version and find_version(client, decision.name, version)]
        if not there:
            return decision
        record = redact(to_json(decision))
        vouch(client, decision.name, decision.id, record)
        ledger = ensure_ledger(client, decision.name)
        number = _written(client, ledger, decision.id) or _create(client, ledger, decision, record, there[0])
        confirm(client, decision.name, decision.id, record, number)
        return next(each for each in _decisions(client, decision.name) if each.number == number)


def follow_records(tracking_uri: str, name: str, alias: str) -> str | None:
    """Moves the alias to the champion that the decisions name. Returns that version, None if there is none.

    After each move the alias is read again, because a slower process may have set an older champion.
    Raises: RegistryError when the alias keeps moving away, or MLflow refuses.
    """
    with connection(tracking_uri) as client:
        for _ in range(ATTEMPTS):
            found = alias_version(client, name, alias)
            wanted = standing(_decisions(client, name), alias, found=found).version
            if wanted is None or wanted == found:
                return wanted
            _set_alias(client, name, alias, wanted)
    raise RegistryError(
        found=f"alias {alias} of {name} moved away {ATTEMPTS} times",
        required="an alias that nothing but the decisions moves",
        remedy="find what else sets it; then promote or roll back again, which puts it right",
    )


def left_behind_aliases(tracking_uri: str) -> tuple[tuple[str, str], ...]:
    """Model and alias of every decision whose process died before it moved the alias."""
    found = []
    with connection(tracking_uri) as client:
        for ledger in _ledgers(client):
            name = ledger.removesuffix(PROMOTIONS)
            made = _decisions(client, name)
            for alias in of_model(made):
                if left_behind(made, alias, found=alias_version(client, name, alias)):
                    found.append((name, alias))
    return tuple(found)


def _ledgers(client: MlflowClient) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = client.search_registered_models(
            f"name LIKE '%{PROMOTIONS}'", max_results=100, page_token=token
        )
        found += [model.name for model in page]
        if not (token := page.token):
            return found


def alias_version(client: MlflowClient, name: str, alias: str) -> str | None:
    """The version that the alias points at, None when it points nowhere."""
    model = _registered(client, name)
    return _text(model.aliases.get(alias)) if model else None


def _text(version: object) -> str | None:
    return None if version is None else str(version)


def find_version(client: MlflowClient, name: str, version: str) -> ModelVersion | None:
    """The version; None when it does not exist or was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _registered(client: MlflowClient, name: str) -> RegisteredModel | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def _decisions(client: MlflowClient, name: str) -> tuple[Decision, ...]:
    versions = versions_of(client, name + PROMOTIONS)
    model = _registered(client, name)
    tags = model.tags if model else {}
    if missing(versions, tags) and (deleted := missing(versions_of(client, name + PROMOTIONS), tags)):
        numbers = ", ".join(sorted(deleted, key=int))
        raise lost_decisions(client, name, tags, numbers)
    return ruled(counted(versions, tags))


def _written(client: MlflowClient, ledger: str, decision_id: str) -> int | None:
    """The number of the record in the ledger; None when it was not written."""
    found = client.search_model_versions(f"name = '{ledger}' and tags.{ID} = '{decision_id}'")
    return int(found[0].version) if found else None


def _create(client: MlflowClient, ledger: str, decision: Decision, record: str, about: str) -> int:
    """Writes a record and returns its number. An attempt that seemed to fail may have succeeded."""
    from mlflow.exceptions import MlflowException

    tags = {
        RECORD: record,
        ID: decision.id,
        "alias": decision.alias,
        "action": decision.action.value,
        "decided": decision.outcome.value,
    }
    for attempt in range(ATTEMPTS):
        try:
            created = client.create_model_version(
                ledger, source=f"models:/{decision.name}/{about}", tags=tags, description=_sentence(decision)
            )
            return int(created.version)
        except MlflowException:
            if (number := _written(client, ledger, decision.id)) is not None:
                return number
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))
    raise AssertionError("unreachable")


def _set_alias(client: MlflowClient, name: str, alias: str, version: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(name, alias, version)
    except MlflowException:  # when two processes set a new alias at once, MLflow refuses one of them
        if alias_version(client, name, alias) != version:
            client.set_registered_model_alias(name, alias, version)


def _sentence(decision: Decision) -> str:
    moved = f"{decision.alias}: {decision.from_version or 'none'} -> {decision.to_version or 'none'}"
    reason = f". {decision.reason}" if decision.reason else ""
    return redact(f"{decision.action} {decision.outcome}, {moved}, by {decision.who}{reason}")
