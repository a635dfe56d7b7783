# The image of the program and of all services. It is built from locks alone, and runs as an unprivileged user.
FROM python:3.11.11-slim-bookworm
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements requirements
RUN python -m venv .venv && pip install --no-cache-dir --require-hashes --no-deps --requirement requirements/uv.lock
RUN uv pip install --no-cache --compile-bytecode --require-hashes --no-deps --requirements requirements/server.lock
COPY pyproject.toml README.md LICENSE prefect.yaml ./
COPY paddle_int8 paddle_int8
COPY flows flows
COPY tasks tasks
COPY zoo zoo
COPY configs configs
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable .
RUN useradd --uid 10001 --create-home paddle && mkdir /data && chown paddle /data
USER paddle
VOLUME /data
