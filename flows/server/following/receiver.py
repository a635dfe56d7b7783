"""Receives MLflow's registry webhooks over HTTP, and starts a release when a followed alias moved.

The receiver may refuse every delivery that it is not sure of, because no delivery is vital: MLflow itself
drops a delivery after four attempts, and all waiting ones when it restarts. The hourly reconciliation finds
what was missed.
"""

from __future__ import annotations

import asyncio
import logging
import time

import uvicorn
from fastapi import FastAPI, Request, Response

from paddle_int8.flows.server.following import attempts
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError
from paddle_int8.tasks.following import hook
from paddle_int8.tasks.following.followers import followed_in, followers
from paddle_int8.tasks.following.request import FollowRequest
from paddle_int8.tasks.following.webhook import MOST_BYTES, RefusedError, Replays, alias_moved, verify

FEWEST_SECRET_CHARACTERS = 16
MOST_SECONDS = 10.0
"""Time limit for receiving a body. MLflow sends it in one piece."""

logger = logging.getLogger(__name__)


def require_secret(settings: Settings) -> str:
    """The secret that deliveries are signed with.

    Raises: ConfigError when it is not set or too short.
    """
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    if len(secret) < FEWEST_SECRET_CHARACTERS:
        raise ConfigError(
            found="no PADDLE_INT8_WEBHOOK_SECRET" if not secret else f"a secret of {len(secret)} characters",
            required=f"at least {FEWEST_SECRET_CHARACTERS} characters, the same that MLflow's webhook has",
            remedy="make one, such as with `openssl rand -hex 32`, and give it to both",
        )
    return secret


def receiver(settings: Settings) -> FastAPI:
    """The web application: `POST /mlflow` takes deliveries, and `GET /health` answers 200.

    | status | the delivery |
    |---|---|
    | 202 | has started a release, or one had been started |
    | 204 | is about something that no release follows |
    | 400 | is signed but is no event of MLflow's |
    | 401 | has no id, or a wrong signature or time |
    | 408, 413 | is too slow, or too long |
    | 409 | was received before |
    | 429 | comes after too many others |
    | 503 | could not be acted on, because Prefect did not answer; MLflow sends it again |

    Raises: ConfigError when the secret, the Prefect server or the folder of releases is missing.
    """
    secret, replays = require_secret(settings), Replays()
    settings.require_prefect_server()
    followed_in(settings.configs)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    async def health() -> Response:
        return Response(status_code=200)

    @app.post("/mlflow")
    async def deliver(request: Request) -> Response:
        try:
            body = await _body(request)
            delivery_id = verify(request.headers, body, secret, now=time.time())
            replays.take(delivery_id, now=time.time())
            moved = alias_moved(body)
        except RefusedError as refused:
            logger.warning("refused a delivery from %s: %s", request.client, refused)
            return Response(status_code=refused.status)
        if moved is None or not followers(followed_in(settings.configs), moved.model, moved.alias):
            return Response(status_code=204)
        try:
            run = await attempts.start(
                FollowRequest(model=moved.model, version=moved.version, alias=moved.alias)
            )
        except PipelineError as error:
            replays.give_back(delivery_id)
            logger.error(
                "could not start the release of %s version %d: %s", moved.model, moved.version, error
            )
            return Response(status_code=503)
        logger.info("%s version %d is %s: flow run %s", moved.model, moved.version, moved.alias, run)
        return Response(status_code=202)

    return app


async def _body(request: Request) -> bytes:
    """Reads the whole body.

    Raises: RefusedError when it is longer than `MOST_BYTES`, or takes longer than `MOST_SECONDS`.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MOST_BYTES:
                    raise RefusedError(413, f"more than {MOST_BYTES} bytes")
    except TimeoutError as error:
        raise RefusedError(408, f"not whole within {MOST_SECONDS:g} s") from error
    return bytes(body)


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serves until interrupted. If `webhook_url` is set, the webhook is first registered with MLflow."""
    app = receiver(settings)
    if settings.webhook_url is not None:
        hook.register(settings.tracking_uri, settings.webhook_url, require_secret(settings))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    uvicorn.run(app, host=host, port=port, access_log=False, log_config=None, limit_concurrency=64)
