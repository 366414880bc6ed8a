"""What may stand in a policy under ``upstreams``: where an API is, how it is reached, and what is known of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from proxy.policy.mistakes import shown
from proxy.policy.schema_base import ANYWHERE, Shape, Texts
from proxy.policy.schema_kinds import Count, Flag, LabelsText, NameTexts, StandIn, Text, choice, fault


class ListenShape(Shape):
    """A listener of an upstream's own, mounted at `/`."""

    address: Annotated[Text, StandIn("127.0.0.1:0")] = Field(
        description="`host:port` to bind, `[::1]:8443` for IPv6. Loopback keeps others out."
    )
    tls: Annotated[str, choice("auto")] | None = Field(
        default=None,
        description="`auto` makes a local authority and a certificate at first start and keeps them in the state "
        "directory; left out: plain HTTP. Kubernetes clients send their credentials over TLS only.",
    )


class UpstreamTlsShape(Shape):
    """How an `https` upstream is trusted, and how it knows Headgate. Files are PEM, read at start and reload."""

    ca_file: Text | None = Field(default=None, description="Authorities to trust; left out: those of the system.")
    client_cert_file: Text | None = Field(default=None, description="Certificate to show to the upstream.")
    client_key_file: Text | None = Field(default=None, description="Its key, where it is not in the same file.")
    server_name: Text | None = Field(
        default=None, description="Name to ask for and to verify; left out: the URL's host."
    )
    verify: Flag = Field(default=True, description="`false` trusts any certificate: for tests, never over a network.")


class OwnAuthShape(Shape):
    """The token of Headgate's own service account."""

    token_file: Text = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token",
        description="File with the bearer token; read anew when it changes.",
    )


class AuthShape(Shape):
    """Who speaks to the upstream. Written `own`, or as the map `{own: {token_file: PATH}}`. Everybody who reaches the
    mount then acts as Headgate: put it on loopback, or where only those get in who may."""

    own: Annotated[OwnAuthShape, StandIn({})] = Field(
        description="Callers' `Authorization` stays here, Headgate's own token goes on; requests that impersonate "
        "are refused."
    )

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        if isinstance(value, str):
            if value == "own":
                return {"own": {}}
            hint = "write auth: own, or leave it out: callers' credentials pass through"
            raise fault(f"{shown(value)} is none of the choices", hint)
        return value


class PodsShape(Shape):
    """Which pods tell the truth: once its main containers are done for good, a pod says Succeeded or Failed, even
    if a sidecar lives on. `namespaces` and `labels` must both match. Annotations of a pod go before all this:
    `headgate.dev/main-container: NAME` enrols it, `headgate.dev/phase-rewrite: "off"` leaves it alone."""

    main_containers: NameTexts = Field(
        default=[],
        description="Names of main containers; a pod's are those of them that it has. Left out: only pods with the "
        "annotation.",
    )
    namespaces: NameTexts = Field(default=["*"], description="Namespaces, also as patterns with `*`.")
    labels: LabelsText = Field(
        default=(), description="A label selector as `kubectl -l` takes it: `app=agent,tier!=web,team in (a, b)`."
    )
    decide: Annotated[str, choice("all", "any")] = Field(
        default="all",
        description="With several main containers: `all` must be done, or `any` that failed decides.",
    )
    max_restarts: Count | None = Field(
        default=None, description="A main container restarted so often has failed; left out: a crash loop goes on."
    )
    authoritative: Flag = Field(
        default=False,
        description="A pod that failed only because of a sidecar says Succeeded where its main containers are.",
    )


class UpstreamShape(Shape):
    """An API behind Headgate. Several upstreams each need a `prefix`, a `listen` or `hosts`; a single one is
    mounted at `/` without."""

    LATER: ClassVar[Mapping[str, str]] = {"mark": "leave it out: this version puts no mark into sandboxes"}

    url: Annotated[Text, StandIn(ANYWHERE)] = Field(
        description="Where it is: `https://host[:port][/path]`. With dialect `e2b-sandbox` the host may hold "
        "`{port}` and `{sandbox}`: `https://{port}-{sandbox}.e2b.app`."
    )
    dialect: Text = Field(
        default="http",
        description="What requests mean and how errors look: `e2b`, `e2b-sandbox`, `kubernetes` or `http`.",
    )
    prefix: Text | None = Field(
        default=None, description="Path on the main listener: `/e2b`. Taken off before forwarding."
    )
    listen: ListenShape | None = Field(default=None, description="A listener of its own.")
    hosts: Texts = Field(default=[], description="`Host` names (with or without port) that select this upstream.")
    host: Annotated[str, choice("upstream", "caller")] = Field(
        default="upstream", description="The Host that the upstream sees: its own authority, or what the caller sent."
    )
    via: Flag = Field(default=False, description="Add `Via` to requests; off, so that nothing is added.")
    forward_idempotency_key: Flag = Field(
        default=False, description="Forward `Idempotency-Key`; off, since retries would replay the first error."
    )
    tls: UpstreamTlsShape = Field(default=UpstreamTlsShape(), description="TLS to the upstream.")
    auth: AuthShape | None = Field(
        default=None,
        description="Dialect `kubernetes`: who speaks to the upstream; left out: callers' credentials pass through.",
    )
    pods: PodsShape | None = Field(
        default=None,
        description="Dialect `kubernetes`: which pods tell the truth; left out: those with the annotation "
        "`headgate.dev/main-container`.",
    )
