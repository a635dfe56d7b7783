# The image of the program and of all services: built from locks alone, without what builds it, run by an unprivileged user.
FROM python:3.11.11-slim-bookworm AS base
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app

FROM base AS packages
# How this stage reaches a package index other than the public one; nothing of it is in the image.
ARG PIP_INDEX_URL
ARG PIP_CERT
ARG SSL_CERT_FILE
# without it uv gives up compiling after a minute, which a busy host may need
ENV UV_COMPILE_BYTECODE_TIMEOUT=0
COPY requirements requirements
RUN python -m venv /uv && /uv/bin/pip install --no-cache-dir --require-hashes --no-deps --requirement requirements/uv.lock
RUN python -m venv --without-pip .venv && ${PIP_INDEX_URL:+env UV_DEFAULT_INDEX=$PIP_INDEX_URL} /uv/bin/uv pip install \
    --python .venv/bin/python --no-cache --compile-bytecode --require-hashes --no-deps --requirements requirements/server.lock \
    && find .venv -type d -name tests -prune -exec rm -r {} +

FROM packages AS program
COPY pyproject.toml README.md LICENSE ./
COPY paddle_int8 paddle_int8
COPY flows flows
COPY tasks tasks
COPY zoo zoo
RUN pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM base
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home paddle && install --directory --owner=paddle /data
COPY --from=packages /app/.venv .venv
RUN --mount=type=bind,from=program,source=/wheels,target=/wheels pip install --no-cache-dir --no-deps --no-index /wheels/*.whl
COPY prefect.yaml ./
COPY configs configs
COPY deploy/mlflow-auth.ini deploy/
USER paddle
VOLUME /data
