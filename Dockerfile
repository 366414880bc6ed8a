# Two stages: one that builds, and one that runs, which has neither pip's leavings nor a compiler nor root.
#
#   make image
#   docker run -p 8080:8080 -e E2B_UPSTREAM_URL=https://api.e2b.app headgate serve --policy e2b --listen 0.0.0.0:8080
#
# Where pip meets a private certificate authority: --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt with the
# bundle mounted into the build. A build argument leaves no trace in the second stage.

FROM python:3.12-slim-bookworm AS build

ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python3 -m venv /opt/headgate
WORKDIR /src

# First what changes seldom: the pinned dependencies, by hash.
COPY requirements.lock ./
RUN /opt/headgate/bin/pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md ./
COPY proxy ./proxy
COPY policies ./policies
RUN /opt/headgate/bin/pip install --no-deps . \
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
