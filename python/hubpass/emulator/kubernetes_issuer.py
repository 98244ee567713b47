"""The issuer of a Kubernetes cluster: tokens of service accounts, as a pod finds them in a projected volume.

Sources: "Service Account Token Volume Projection" of the Kubernetes documentation, and "Workload identity federation"
of Microsoft's. The issuer's metadata and keys are published beside Entra's, as a cluster publishes its own.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.service_account_tokens import ISSUER_ALGORITHMS


async def kubernetes_metadata(service: Service, _: Request, __: Match) -> Response:
    """The OpenID metadata of the issuer."""
    kubernetes = service.identity.kubernetes
    return JSONResponse(
        {
            "issuer": kubernetes.url,
            "jwks_uri": f"{kubernetes.url}openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ISSUER_ALGORITHMS,
        }
    )


async def kubernetes_keys(service: Service, _: Request, __: Match) -> Response:
    """The keys of the issuer."""
    return JSONResponse(service.identity.kubernetes.key_set())
