"""The state behind everything that gives tokens, beside the directory."""

from __future__ import annotations

from dataclasses import dataclass, field

from hubpass.emulator.addresses import Address
from hubpass.emulator.arc_agent import ArcAgent
from hubpass.emulator.assertion_policy import AssertionPolicy
from hubpass.emulator.clock import Clock
from hubpass.emulator.developer_tools import DeveloperTools
from hubpass.emulator.entra_errors import RefusalsOnOrder
from hubpass.emulator.identity_routes import KUBERNETES_PATH
from hubpass.emulator.imds_limits import ImdsLimits
from hubpass.emulator.redaction import Redactor
from hubpass.emulator.run_directory import RunDirectory
from hubpass.emulator.service_account_tokens import ServiceAccountTokens


@dataclass
class IdentityState:
    """One machine in Azure, at `machine`, with what it offers; the rules of the token endpoint; a cluster's issuer."""

    machine: Address
    kubernetes: ServiceAccountTokens
    imds_limits: ImdsLimits
    arc: ArcAgent
    tools: DeveloperTools
    files: RunDirectory
    assertions: AssertionPolicy = field(default_factory=AssertionPolicy)
    refusals: RefusalsOnOrder = field(default_factory=RefusalsOnOrder)

    def reset(self) -> None:
        """Put everything back that orders have changed; files that were made on order stay."""
        self.assertions = AssertionPolicy()
        self.refusals.clear()
        self.imds_limits.reset()
        self.arc.challenge = "right"
        self.tools.reset()

    def close(self) -> None:
        """Delete every file of this run."""
        self.arc.remove_files()
        self.files.remove()


def new_identity_state(entra: Address, machine: Address, clock: Clock, redactor: Redactor) -> IdentityState:
    """The state of the start; no file exists yet."""
    files = RunDirectory()
    return IdentityState(
        machine=machine,
        kubernetes=ServiceAccountTokens(f"{entra.url}{KUBERNETES_PATH}"),
        imds_limits=ImdsLimits(clock),
        arc=ArcAgent(files, redactor),
        tools=DeveloperTools(files, redactor, machine),
        files=files,
    )
