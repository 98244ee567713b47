"""The part of the control client that is about identities, on the standard library alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from hubpass.emulator.identity_records import Certificate, ServiceAccountToken, UserAssignedIdentity

# The audience that the webhook of Microsoft Entra Workload ID asks the cluster for.
EXCHANGE_AUDIENCE = "api://AzureADTokenExchange"
_YEAR = 365 * 24 * 3600


class IdentityControl:
    """Drives how identities prove themselves and where their tokens come from: `ControlClient.identity`.

    `client_id` is that of an application, for federated credentials also that of a user-assigned identity. Periods
    are in seconds by the emulator's clock. Every method raises `ControlError` if the emulator refuses the order.
    """

    def __init__(self, order: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> None:
        self._order = order

    def reset(self) -> None:
        """Put back everything that is changed here or was added to Entra; certificates, programs and roles stay."""
        self._order("/identity/reset", {})

    def add_tenant(self, tenant_id: str | None = None) -> str:
        """Let another tenant exist, with a new id (None) or with this GUID; returns its id."""
        return str(self._order("/identity/tenants", {"tenant_id": tenant_id})["tenant_id"])

    def consent(self, client_id: str, tenant_id: str, *, roles: Iterable[str] = ()) -> str:
        """Let a tenant know a multi-tenant application; returns the application's object id there."""
        order = {"client_id": client_id, "tenant_id": tenant_id, "roles": list(roles)}
        return str(self._order("/identity/consents", order)["object_id"])

    def add_user_assigned_identity(self, name: str, *, roles: Iterable[str] = ()) -> UserAssignedIdentity:
        """Give the machine one more user-assigned identity."""
        return UserAssignedIdentity(**self._order("/identity/user-assigned", {"name": name, "roles": list(roles)}))

    def add_client_secret(self, client_id: str, *, valid_for: float | None = None) -> str:
        """Add a client secret to an application, one that expires or not (None); returns its text."""
        order = {"client_id": client_id, "valid_for": valid_for}
        return str(self._order("/identity/secrets", order)["client_secret"])

    def add_certificate(
        self,
        client_id: str,
        *,
        password: str | None = None,
        valid_for: float = _YEAR,
        with_authority: bool = False,
        registered: bool = True,
    ) -> Certificate:
        """Make a certificate, register it for an application (unless `registered` is false), and write its files.

        `password` protects the private key in them. `with_authority` has it signed by an authority of its own, which
        is then part of the chain, instead of by itself. With `valid_for` below 0 it has expired already.
        """
        order = {
            "client_id": client_id,
            "password": password,
            "valid_for": valid_for,
            "with_authority": with_authority,
            "registered": registered,
        }
        return Certificate(**self._order("/identity/certificates", order))

    def remove_certificate(self, client_id: str, thumbprint: str) -> None:
        """Take the certificate with this SHA-1 thumbprint (hexadecimal) from an application."""
        self._order("/identity/certificates/remove", {"client_id": client_id, "thumbprint": thumbprint})

    def add_federated_credential(
        self, client_id: str, subject: str, *, issuer: str | None = None, audience: str = EXCHANGE_AUDIENCE
    ) -> None:
        """Trust the tokens of one subject of another issuer (None: the emulator's own Kubernetes cluster).

        Only the tokens of that cluster can be verified; those of any other issuer are refused.
        """
        order = {"client_id": client_id, "subject": subject, "issuer": issuer, "audience": audience}
        self._order("/identity/federated-credentials", order)

    def remove_federated_credentials(self, client_id: str) -> None:
        """Trust no other issuer any more."""
        self._order("/identity/federated-credentials/remove", {"client_id": client_id})

    def service_account_token(
        self,
        *,
        namespace: str = "default",
        name: str = "application",
        audience: str = EXCHANGE_AUDIENCE,
        valid_for: float = 3600,
    ) -> ServiceAccountToken:
        """A token as a pod of the cluster finds it in a projected volume. Below 0, `valid_for` makes an expired one."""
        order = {"namespace": namespace, "name": name, "audience": audience, "valid_for": valid_for}
        token = str(self._order("/identity/service-account-tokens", order)["token"])
        return ServiceAccountToken(f"system:serviceaccount:{namespace}:{name}", token)

    def rotate_kubernetes_key(self) -> None:
        """Let the cluster sign with a new key; its earlier tokens are refused."""
        self._order("/identity/kubernetes-key/rotate", {})

    def set_assertion_policy(self, *, refuse_replays: bool = False, longest_life: float | None = None) -> None:
        """Demand more of certificate assertions than Entra does; without arguments, demand what Entra demands.

        `refuse_replays` lets every `jti` count once; `longest_life` refuses an assertion whose `exp` is further away.
        """
        self._order("/identity/assertion-policy", {"refuse_replays": refuse_replays, "longest_life": longest_life})

    def refuse_tokens(self, number: Literal[50196, 53003, 530003, 7000112], times: int = 1) -> None:
        """Refuse the next `times` good requests to the token endpoint with this AADSTS number.

        53003 and 530003 are Conditional Access, 50196 is a client that asks in a loop, 7000112 a disabled
        application. `times=0` forgets all refusals that are left.
        """
        self._order("/identity/token-refusals", {"number": number, "times": times})

    def set_imds_limits(self, *, requests_per_second: int = 20, concurrent_requests: int = 5) -> None:
        """Change how many requests IMDS serves; the defaults are those of Azure."""
        order = {"requests_per_second": requests_per_second, "concurrent_requests": concurrent_requests}
        self._order("/identity/imds-limits", order)

    def set_arc_challenge(
        self,
        challenge: Literal["right", "too_large", "outside", "wrong_suffix", "missing_file", "without_realm"] = "right",
    ) -> None:
        """Change the challenges of Azure Arc from now on: to such as a client must refuse, or back to good ones.

        `too_large` is a file of more than 4096 bytes, `outside` one in another directory, `wrong_suffix` one that
        does not end with `.key`, `missing_file` one that does not exist, `without_realm` no file at all.
        """
        self._order("/identity/arc-challenge", {"challenge": challenge})

    def install_developer_tools(self) -> str:
        """Write the programs `az` and `azd`; returns their directory, which belongs in front of `PATH`."""
        return str(self._order("/identity/developer-tools", {})["directory"])

    def set_developer_tool(
        self,
        tool: Literal["az", "azd"],
        mode: Literal[
            "signed_in", "signed_out", "session_expired", "warning", "warning_in_output", "garbage"
        ] = "signed_in",
    ) -> None:
        """Change what a program prints from now on.

        `warning` prints one to standard error, `warning_in_output` one in front of the JSON, `garbage` no JSON. To
        let a program hang or be slow, use `fail_next("az", hold=True)` or `delay=`.
        """
        self._order("/identity/developer-tools/mode", {"tool": tool, "mode": mode})
