"""Everything at once: threads that negotiate, rotate, invalidate, send, make, close and drop clients, and fork.

The interpreter switches between them as often as it can. What goes wrong shows as a crash, a deadlock, a wrong
signature or an exception.
"""

import json
from itertools import count
from typing import Any

import pytest
from typing_extensions import override

from signalr.scripts import finish, start
from signalr.service_double import Answer, Received, ServiceDouble


class RotatingDouble(ServiceDouble):
    """Gives another temporary key at each request for one."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count()

    @override
    def handle(self, received: Received, connection: Any) -> Answer:
        if received.method != "GET":
            return Answer()
        number = next(self._numbers)
        body = json.dumps({"KeyId": f"kid-{number}", "AccessKey": f"temporary-{number}".ljust(44, "0")}).encode()
        return Answer(200, {"Content-Type": "application/json"}, body)


STRESS = """
import asyncio, base64, gc, hashlib, hmac, os, random, signal, sys, threading, warnings
from azure.core.credentials import AzureKeyCredential
import hubpass, hubpass.aio

warnings.simplefilter("ignore", DeprecationWarning)
endpoint, seed = sys.argv[1], int(sys.argv[2])
THREADS, ROUNDS = 16, 40
KEYS = [f"access-key-{number}".ljust(44, "0") for number in range(4)]

class Identity:
    token, expires_on = "token", 4e9
    def get_token(self, *scopes):
        return self

class AsyncIdentity(Identity):
    async def get_token(self, *scopes):
        return self

def signer(answer, names):
    text, _, signature = answer["accessToken"].rpartition(".")
    for name in names:
        made = base64.urlsafe_b64encode(hmac.digest(name.encode(), text.encode(), hashlib.sha256))
        if made.rstrip(b"=").decode() == signature:
            return name
    raise AssertionError("a wrong signature")

def temporary(answer):
    return ["temporary-{}".format(answer.kid.rpartition("-")[2]).ljust(44, "0")]

events = []
rotated = AzureKeyCredential(KEYS[0])
shared = hubpass.SignalRServiceClient(endpoint, "chat", rotated, on_event=events.append)
entra = hubpass.SignalRServiceClient(endpoint, "chat", Identity(), on_event=events.append)
aio = hubpass.aio.SignalRServiceClient(endpoint, "chat", AsyncIdentity(), on_event=events.append)
shared.send_to_all("ready")
entra.warm_up()

def sign(luck):
    signer(shared.negotiate("ada", claims={"n": luck.random()}), KEYS)

def sign_with_a_temporary_key(luck):
    answer = entra.negotiate("ada")
    signer(answer, temporary(answer))

def sign_on_a_loop(luck):
    async def main():
        answers = await asyncio.gather(*(aio.negotiate(str(number)) for number in range(4)))
        for answer in answers:
            signer(answer, temporary(answer))
    asyncio.run(main())

def rotate(luck):
    rotated.update(luck.choice(KEYS))

def invalidate(luck):
    assert entra.invalidate_key(entra.negotiate("ada").kid) in (True, False)
    assert entra.status()["mode"] == "entra"

def send(luck):
    luck.choice([shared, entra]).send_to_all("say", luck.random())

def make_and_close(luck):
    client = hubpass.SignalRServiceClient(endpoint, "chat", Identity(), on_event=events.append)
    answer = client.for_hub("news").negotiate("ada")
    signer(answer, temporary(answer))
    client.close()
    try:
        client.negotiate("ada")
    except hubpass.ClientClosedError:
        return
    raise AssertionError("a closed client signs")

class Owner:
    def __init__(self):
        self.client = hubpass.SignalRServiceClient(endpoint, "chat", Identity(), on_event=self.take)
    def take(self, event):
        events.append(event)

def make_and_drop(luck):
    Owner().client.negotiate("ada")
    if luck.random() < 0.2:
        gc.collect()

def fork(luck):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            sign(luck)
            sign_with_a_temporary_key(luck)
            shared.send_to_all("from a child")
            make_and_drop(luck)
            gc.collect()
            code = 0
        except BaseException as error:
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, f"a child ended with {code}"

WEIGHTS = {
    sign: 60,
    sign_with_a_temporary_key: 60,
    rotate: 30,
    sign_on_a_loop: 3,
    invalidate: 10,
    send: 5,
    make_and_close: 3,
    make_and_drop: 3,
    fork: 1,
}
ACTIONS = list(WEIGHTS)
failures = []
barrier = threading.Barrier(THREADS)

def work(number):
    luck = random.Random(seed * 1000 + number)
    barrier.wait()
    try:
        for _ in range(ROUNDS):
            luck.choices(ACTIONS, WEIGHTS.values())[0](luck)
        # Whatever luck had in mind, each thread does everything once.
        for action in ACTIONS:
            action(luck)
    except BaseException as error:
        failures.append(error)
        raise

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures
rotated.update(KEYS[3])
assert signer(shared.negotiate("ada"), KEYS) == KEYS[3]
print("done")
"""


@pytest.mark.timeout(300)
def test_everything_at_once() -> None:
    with RotatingDouble() as service:
        outcome = finish(start(STRESS, service.endpoint, "1"), seconds=240)
    assert (outcome.code, outcome.output, outcome.errors) == (0, "done\n", "")
