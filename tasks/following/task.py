"""The Prefect tasks that find which releases must start."""

from __future__ import annotations

from paddle_int8.tasks.config.model import RegisteredModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError, RegistryError
from paddle_int8.tasks.following.followers import followed_in, followers
from paddle_int8.tasks.following.request import FollowRequest
from paddle_int8.tasks.steps.step import stage, step
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.source import SourceVersion, is_released, resolve_source


@step(name="open releases")
def open_releases(request: FollowRequest) -> list[ReleaseConfig]:
    """The releases that follow the alias and have no verdict on the version yet.

    Raises: ConfigError when no release follows the alias.
    """
    with stage("open releases") as summary:
        settings = Settings()
        following = followers(followed_in(settings.configs), request.model, request.alias)
        if not following:
            raise ConfigError(
                found=f"no release in {settings.configs} follows {request.model}@{request.alias}",
                required=f"a release with `model: {{registered: models:/{request.model}@{request.alias}}}`",
                remedy="add one, or set PADDLE_INT8_CONFIGS on the worker to the folder that has it",
            )
        source = SourceVersion(model=request.model, version=str(request.version))
        with connection(settings.tracking_uri) as client:
            found = [config for config in following if not is_released(client, config.name, source)]
        summary.append(f"{len(found)} of {len(following)} releases of {source.uri}")
        return found


@step(name="find promoted versions", retries=2, retry_delay_seconds=2)
def find_unreleased() -> list[FollowRequest]:
    """The versions at followed aliases for which at least one release has no verdict yet."""
    with stage("find promoted versions") as summary:
        settings = Settings()
        found = []
        for followed in followed_in(settings.configs):
            wanted = RegisteredModel(registered=f"models:/{followed.model}@{followed.alias}")
            try:
                source = resolve_source(settings.tracking_uri, wanted)
            except RegistryError as error:
                summary.append(f"{wanted.registered}: {error.found}")
                continue
            with connection(settings.tracking_uri) as client:
                released = [is_released(client, each.name, source) for each in followed.releases]
            if not all(released):
                found.append(
                    FollowRequest(model=source.model, version=int(source.version), alias=followed.alias)
                )
        summary.append(f"{len(found)} without a release")
        return found
