"""The routes of what Azure puts beside an application so that it gets tokens, and of a Kubernetes issuer."""

from __future__ import annotations

import re

from hubpass.emulator.routes import Route

# The agent of Azure Arc has a port of its own; here it shares that of the machine, so its path tells it apart.
ARC_PATH = "/arc/metadata/identity/oauth2/token"
KUBERNETES_PATH = "/oidc/kubernetes/"

MACHINE_ROUTES = (
    Route(
        "imds_token",
        ("GET",),
        re.compile(r"/metadata/identity/oauth2/token"),
        "GET /metadata/identity/oauth2/token?api-version=&resource=",
    ),
    Route("arc_token", ("GET",), re.compile(re.escape(ARC_PATH)), f"GET {ARC_PATH}?api-version=&resource="),
    Route("az", ("POST",), re.compile(r"/tools/az"), "POST /tools/az"),
    Route("azd", ("POST",), re.compile(r"/tools/azd"), "POST /tools/azd"),
)
KUBERNETES_ROUTES = (
    Route(
        "kubernetes_metadata",
        ("GET",),
        re.compile(re.escape(f"{KUBERNETES_PATH}.well-known/openid-configuration")),
        f"GET {KUBERNETES_PATH}.well-known/openid-configuration",
    ),
    Route(
        "kubernetes_keys",
        ("GET",),
        re.compile(re.escape(f"{KUBERNETES_PATH}openid/v1/jwks")),
        f"GET {KUBERNETES_PATH}openid/v1/jwks",
    ),
)
IDENTITY_ROUTE_NAMES = tuple(route.name for route in (*MACHINE_ROUTES, *KUBERNETES_ROUTES))
