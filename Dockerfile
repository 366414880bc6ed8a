# Two stages: one that builds, and one that runs, which has neither pip's leavings nor a compiler nor root. The request
# path is compiled (docs/decisions/0004-compiled-wheel.md); `headgate --version` says so.
#
#   make image
#   docker run -p 8080:8080 -e E2B_UPSTREAM_URL=https://api.e2b.app headgate serve --policy e2b --listen 0.0.0.0:8080
#
# Where pip meets a private certificate authority: --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt with the
# bundle mounted into the build. A build argument leaves no trace in the second stage.

FROM python:3.12-slim-bookworm AS build

ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* && python3 -m venv /opt/headgate && python3 -m venv /opt/compile
WORKDIR /src

# First what changes seldom: the pinned dependencies and the compiler for Python, by hash.
COPY requirements.lock requirements-compile.lock ./
RUN /opt/headgate/bin/pip install --require-hashes -r requirements.lock \
    && /opt/compile/bin/pip install --require-hashes -r requirements-compile.lock

COPY pyproject.toml README.md ./
COPY proxy ./proxy
COPY policies ./policies
RUN CFLAGS=-g0 HATCH_BUILD_HOOK_ENABLE_MYPYC=1 \
    /opt/compile/bin/pip wheel --no-build-isolation --no-deps --wheel-dir /tmp/wheel . \
    && /opt/headgate/bin/pip install --no-deps --no-index /tmp/wheel/*.whl \
    && /opt/headgate/bin/python -m compileall -q /opt/headgate/lib \
    && /opt/headgate/bin/pip uninstall -q -y pip

FROM python:3.12-slim-bookworm

# The user's number is what `runAsNonRoot` looks at. Its home is the state directory: the local CA and the salt.
RUN useradd --system --uid 65532 --home-dir /var/lib/headgate --create-home --shell /usr/sbin/nologin headgate
COPY --from=build /opt/headgate /opt/headgate
ENV PATH=/opt/headgate/bin:$PATH PYTHONUNBUFFERED=1 HEADGATE_STATE_DIR=/var/lib/headgate

USER 65532:65532
WORKDIR /var/lib/headgate
EXPOSE 8080
# Asks where `headgate serve` listens unless told otherwise. Kubernetes ignores this and has probes of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9090/healthz', timeout=2)"]
ENTRYPOINT ["headgate"]
CMD ["serve", "--policy", "e2b", "--listen", "0.0.0.0:8080"]
