"""The resources that tokens can be for: those of Azure that are in every tenant, and applications of the tenant."""

from __future__ import annotations

import re

from hubpass.emulator.directory import Directory
from hubpass.emulator.entra_errors import EntraError

_DEFAULT_SCOPE = "/.default"
_GUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_RESOURCE = re.compile(rf"[A-Za-z][A-Za-z0-9+.\-]*://[^\s]+|{_GUID}")
# Names of the services of Azure, those of the sovereign clouds among them.
_AZURE = re.compile(
    r"https://([a-z0-9-]+\.)*"
    r"(azure\.(com|net|us|cn|de)|azure-api\.net|microsoft\.com|windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)"
)


def requested_resource(scope: str) -> str:
    """The resource in front of `/.default`; a slash at its end is kept, as Entra does. Raises `EntraError`."""
    resource = scope.removesuffix(_DEFAULT_SCOPE)
    if resource == scope or not _RESOURCE.fullmatch(resource):
        raise EntraError(
            "invalid_scope",
            70011,
            f"The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid: "
            f"client credentials need one resource with {_DEFAULT_SCOPE}.",
        )
    return resource


def check_resource(directory: Directory, tenant_id: str, resource: str) -> None:
    """Refuse a resource that the tenant does not know; raises `EntraError`.

    Every resource of Azure is known, and every id; `api://{client id}` names an application that is present there.
    """
    name = resource.rstrip("/").lower()
    own = name.removeprefix("api://")
    known = _AZURE.fullmatch(name) or re.fullmatch(_GUID, name) or (own != name and directory.client(tenant_id, own))
    if not known:
        raise EntraError(
            "invalid_resource",
            500011,
            f"The resource principal named {resource} was not found in the tenant named {tenant_id}. This can happen "
            "if the application has not been installed by the administrator of the tenant.",
        )
