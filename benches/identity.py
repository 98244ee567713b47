"""What the credentials of ``hubpass.identity`` cost against those of azure-identity, at the local Azure.

Reproduce with ``make bench``, or with a release build of hubpass: ``python benches/identity.py``. Measured are the
import, a token in hand, the first token of a new client secret credential, the search of ``DefaultAzureCredential``
where there is nothing to find, and the peak memory of a process that gets one token. The process fails if a
minimum misses its goal. Needs Linux: ``/proc``, and ``unshare`` of util-linux.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.identity
import azure.identity.aio
import jwt

import hubpass.identity
import hubpass.identity.aio
from hubpass.emulator import Emulator
from import_time import time_import
from rounds import goal_met, interleave
from search import SCOPE

THEIRS, OURS = "azure.identity", "hubpass.identity"

IMPORT_ROUNDS = 20
CACHED_ROUNDS = 200
FIRST_ROUNDS = 30
DISCOVERY_ROUNDS = 2
# A few calls of azure-identity take as long as many of ours.
CALLS = {THEIRS: 20, OURS: 400}
# Called and awaited alike.
GOALS = {"ManagedIdentityCredential": 15, "ClientSecretCredential": 30}

WATCHDOG = 120.0

# Needs no privilege where the kernel lets users have namespaces.
ISOLATED = (shutil.which("unshare") or "unshare", "--user", "--map-root-user", "--net", "--")

# The peak in the statistics of a child's resources begins with its parent's; this one begins with the program.
PEAK = """
import sys
from {module} import ClientSecretCredential
tenant, client, secret, scope, authority, ca_file = sys.argv[1:]
options = {{"authority": authority, "disable_instance_discovery": True, "{trust}": ca_file}}
assert ClientSecretCredential(tenant, client, secret, **options).get_token(scope).token
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""
TRUST = {THEIRS: "connection_verify", OURS: "ca_file"}


def run(*command: str | Path, environment: Mapping[str, str] | None = None) -> float:
    """Run a program that prints a number."""
    answer = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment, timeout=WATCHDOG
    ).stdout
    return float(answer)


def make(module: ModuleType, name: str, emulator: Emulator) -> Any:
    if name == "ManagedIdentityCredential":
        return module.ManagedIdentityCredential()
    package = module.__name__.removesuffix(".aio")
    options = {
        "authority": emulator.authority,
        "disable_instance_discovery": True,
        TRUST[package]: emulator.ca_file,
    }
    return module.ClientSecretCredential(emulator.tenant_id, emulator.client_id, emulator.client_secret, **options)


def subject(token: str) -> tuple[str, str]:
    """Whose token it is, and for what."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return claims["oid"], claims["aud"]


def time_calls(credential: Any, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        credential.get_token(SCOPE)
    return (time.perf_counter() - begin) / calls


async def time_awaits(credential: Any, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        await credential.get_token(SCOPE)
    return (time.perf_counter() - begin) / calls


def imports_meet_the_goal() -> bool:
    statements = {module: f"import {module}" for module in (THEIRS, OURS)}
    spreads = interleave({text: partial(time_import, text) for text in statements.values()}, rounds=IMPORT_ROUNDS)
    theirs, ours = (spreads[text] for text in statements.values())
    return goal_met("import: azure-identity / hubpass", theirs.ratio_to(ours), at_least=20)


def cached_tokens_meet_the_goals(emulator: Emulator) -> bool:
    """Compare ``get_token`` with a token in hand, called, and awaited inside one event loop."""
    loop = asyncio.new_event_loop()
    contestants: dict[str, Callable[[], float]] = {}
    open_credentials: list[Any] = []

    def measure(credential: Any, calls: int) -> float:
        return loop.run_until_complete(time_awaits(credential, calls))

    for name in GOALS:
        subjects = set()
        for package, modules in {
            THEIRS: (azure.identity, azure.identity.aio),
            OURS: (hubpass.identity, hubpass.identity.aio),
        }.items():
            sync, awaited = (make(module, name, emulator) for module in modules)
            subjects.add(subject(sync.get_token(SCOPE).token))
            subjects.add(subject(loop.run_until_complete(awaited.get_token(SCOPE)).token))
            contestants[f"{package} {name}"] = partial(time_calls, sync, CALLS[package])
            contestants[f"{package}.aio {name}"] = partial(measure, awaited, CALLS[package])
            open_credentials.append(awaited)
        # A wrong token is fast and worth nothing.
        if len(subjects) != 1:
            sys.exit("The contestants do not get tokens of the same identity.")
    spreads = interleave(contestants, rounds=CACHED_ROUNDS)
    for credential in open_credentials:
        loop.run_until_complete(credential.close())
    loop.close()
    met = []
    for name, goal in GOALS.items():
        for suffix in ("", ".aio"):
            ratio = spreads[f"{THEIRS}{suffix} {name}"].ratio_to(spreads[f"{OURS}{suffix} {name}"])
            what = f"cached {name}{suffix and ' (aio)'}"
            met.append(goal_met(what, ratio, at_least=goal))
    return all(met)


def first_tokens_meet_the_goal(emulator: Emulator) -> bool:
    """Compare the first token of a new credential in a process that has had others.

    Ours trusts the system's certificates beside those of ``ca_file=``, and reading them counts; with
    ``connection_verify=`` azure-identity trusts the file alone.
    """

    def sync(module: ModuleType) -> float:
        begin = time.perf_counter()
        credential = make(module, "ClientSecretCredential", emulator)
        credential.get_token(SCOPE)
        seconds = time.perf_counter() - begin
        credential.close()
        return seconds

    async def awaited(module: ModuleType) -> float:
        begin = time.perf_counter()
        credential = make(module, "ClientSecretCredential", emulator)
        await credential.get_token(SCOPE)
        seconds = time.perf_counter() - begin
        await credential.close()
        return seconds

    loop = asyncio.new_event_loop()

    def measure(begin: Callable[[ModuleType], Coroutine[Any, Any, float]], module: ModuleType) -> float:
        return loop.run_until_complete(begin(module))

    spreads = interleave(
        {
            THEIRS: partial(sync, azure.identity),
            OURS: partial(sync, hubpass.identity),
            f"{THEIRS}.aio": partial(measure, awaited, azure.identity.aio),
            f"{OURS}.aio": partial(measure, awaited, hubpass.identity.aio),
        },
        rounds=FIRST_ROUNDS,
    )
    loop.close()
    met = [
        goal_met(f"first token: {what}", spreads[OURS + suffix].ratio_to(spreads[THEIRS + suffix]), at_most=1.1)
        for what, suffix in (("hubpass / azure-identity", ""), ("the same (aio)", ".aio"))
    ]
    return all(met)


def time_search(package: str) -> float:
    """Time the search where there are neither variables nor tools nor settings of a user."""
    with tempfile.TemporaryDirectory() as empty:
        search = Path(__file__).with_name("search.py")
        return run(*ISOLATED, sys.executable, search, package, environment={"PATH": empty, "HOME": empty})


def discovery_meets_the_goal() -> bool:
    spreads = interleave({package: partial(time_search, package) for package in TRUST}, rounds=DISCOVERY_ROUNDS)
    return goal_met("nothing found: hubpass / azure-identity", spreads[OURS].ratio_to(spreads[THEIRS]), at_most=1.1)


def report_peak_memory(emulator: Emulator) -> None:
    arguments = (emulator.tenant_id, emulator.client_id, emulator.client_secret, SCOPE, emulator.authority)
    peaks = {}
    for module, trust in TRUST.items():
        peaks[module] = (
            run(sys.executable, "-c", PEAK.format(module=module, trust=trust), *arguments, emulator.ca_file) / 1024
        )
        print(f"  peak memory, {module + ' and one token':<31} {peaks[module]:>12.1f} MiB")
    # Not a goal: most of the smaller one is the interpreter.
    print(f"  {'peak memory: azure-identity / hubpass':<44} {peaks[THEIRS] / peaks[OURS]:>12.2f}")


def main() -> bool:
    met = [imports_meet_the_goal(), discovery_meets_the_goal()]
    with Emulator() as emulator:
        os.environ.update(emulator.identity.imds_environment)
        met.append(cached_tokens_meet_the_goals(emulator))
        met.append(first_tokens_meet_the_goal(emulator))
        report_peak_memory(emulator)
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
