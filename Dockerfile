# The service on slim Python, in an environment of its own, as a user without rights. Kept so simple that a test can run
# each step without a container engine (tests/e2e/test_image.py).

# A release gives the digest as well: PYTHON=3.13-slim-bookworm@sha256:…
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
# Optional parts: llm, apprise, oidc, mcp, parquet, archive (with parquet in it).
ARG EXTRAS=llm,apprise,oidc,mcp
WORKDIR /build
# For strip. Debian keeps no older versions to pin it to.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends binutils && \
    rm -rf /var/lib/apt/lists/*
COPY requirements-build.lock requirements-node.lock requirements.lock requirements-dev.lock ./
RUN python -m venv tools && \
    tools/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements-build.lock && \
    tools/bin/python -m pip install --no-cache-dir --require-hashes --requirement requirements-node.lock
RUN tools/bin/uv venv /opt/alert-history && \
    tools/bin/uv pip install --no-cache --python /opt/alert-history --require-hashes --requirements requirements.lock
COPY LICENSE README.md pyproject.toml hatch_build.py package.json package-lock.json ./
COPY src src
# What the extras need is pinned, with hashes, by the development lock: it holds them all.
RUN tools/bin/hatchling build --target wheel --directory dist && \
    tools/bin/uv pip install --no-cache --python /opt/alert-history --verify-hashes \
        --constraint requirements-dev.lock "$(echo dist/*.whl)[${EXTRAS}]"
# A third of it would be what only a debugger reads in compiled extensions. Who installed them noted the whole files' hashes.
RUN find /opt/alert-history/lib -name '*.so' -exec strip --strip-debug {} + && \
    find /opt/alert-history/lib -name RECORD -exec sed -i -E 's/(\.so),sha256=[^,]+,[0-9]+$/\1,,/' {} +
# The root file system can't be written to, so bytecode is made now: without times in it, and without uv's note of them.
RUN /opt/alert-history/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/alert-history/lib && \
    find /opt/alert-history -name uv_cache.json -delete && \
    find /opt/alert-history -name RECORD -exec sed -i /uv_cache.json/d {} +

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="Alert History" \
      org.opencontainers.image.description="The flight recorder of alerting" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ipiton/alert-history-service"
# curl is for whoever looks into a pod, and for `helm test`; tzdata for quiet hours, should the base image leave it out.
# Debian keeps no older versions to pin them to.
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends curl tzdata && \
    rm -rf /var/lib/apt/lists/*
# Its home is the one folder that a pod lets it write to; /data is for SQLite, where that is a volume.
RUN groupadd --gid 10001 alert-history && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin alert-history && \
    install --directory --owner=10001 --group=10001 /data
COPY --from=build /opt/alert-history /opt/alert-history
ENV PATH=/opt/alert-history/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /data
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://localhost:8080/healthz"]
CMD ["alert-history", "serve"]
