"""Registers the receiver's webhook with MLflow, once, however often the receiver starts."""

from __future__ import annotations

from paddle_int8.tasks.tracking.connection import connection

NAME = "paddle-int8-follow"


def register(tracking_uri: str, url: str, secret: str) -> None:
    """Makes the MLflow server at `tracking_uri` report each alias that moves to `url`, signed with `secret`.

    Raises: RegistryError when MLflow cannot be reached or refuses the address.
    """
    with connection(tracking_uri) as client:
        from mlflow.entities.webhook import (
            WebhookAction,
            WebhookEntity,
            WebhookEvent,
            WebhookEventStr,
            WebhookStatus,
        )

        moved: list[WebhookEventStr | WebhookEvent] = [
            WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED)
        ]
        known = [each for each in client.list_webhooks() if each.name == NAME]
        for each in known:
            client.update_webhook(
                each.webhook_id, url=url, events=moved, secret=secret, status=WebhookStatus.ACTIVE
            )
        if not known:
            client.create_webhook(NAME, url, moved, secret=secret)
