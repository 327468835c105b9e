# Physiopost in a container, as a user of its own, from the hash-pinned lock file.
# Not built by us: there was no container engine. hadolint reads it in the tests.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/physiopost \
    && /opt/physiopost/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/physiopost/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/physiopost physiopost
COPY --from=build /opt/physiopost /opt/physiopost
ENV PATH=/opt/physiopost/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/physiopost
HEALTHCHECK --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=3)"]
ENTRYPOINT ["physiopost"]
CMD ["run"]
