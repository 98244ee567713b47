"""What Azure puts on the machine of an application: IMDS, the agent of Azure Arc, and the developer tools."""

from __future__ import annotations

from starlette.types import ASGIApp

from hubpass.emulator.arc_endpoint import arc_token
from hubpass.emulator.developer_tool_endpoint import run_az, run_azd
from hubpass.emulator.dispatch import Dispatch
from hubpass.emulator.identity_routes import MACHINE_ROUTES
from hubpass.emulator.imds import LimitRequests, imds_token
from hubpass.emulator.interception import InjectFaults, RecordCalls
from hubpass.emulator.service import Service


def machine_plane(service: Service) -> ASGIApp:
    """The ASGI application of the machine's port."""
    handlers = {"imds_token": imds_token, "arc_token": arc_token, "az": run_az, "azd": run_azd}
    dispatch = Dispatch(service, MACHINE_ROUTES, handlers)
    return RecordCalls(LimitRequests(InjectFaults(dispatch, service), service), service, MACHINE_ROUTES)
