"""Authorities that answer what they are told, credentials of either kind, and programs in the place of tools."""

import base64
import json
import ssl
import time
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl

import hubpass.identity
import hubpass.identity.aio
from networks.service import Conversation, ScriptedService
from signalr.client_kind import settle
from signalr.service_double import Answer, Held, Received

SCOPE = "https://signalr.azure.com/.default"
TENANT = "a0f1d4a6-0000-4000-8000-000000000001"
CLIENT = "a0f1d4a6-0000-4000-8000-000000000002"


def token(text: str = "token", expires_in: int | None = 3599, **others: Any) -> Answer:
    """A token as Entra and the platforms give it."""
    body = {"token_type": "Bearer", "access_token": text, "expires_in": expires_in, **others}
    return Answer(200, {"content-type": "application/json"}, json.dumps(body).encode())


def refusal(number: int, status: int = 400, text: str = "canary", **others: Any) -> Answer:
    """A refusal as Entra writes it, with prose that repeats what was sent."""
    body = {
        "error": "invalid_request",
        "error_description": f"AADSTS{number}: {text}",
        "error_codes": [number],
        **others,
    }
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())


class Entra:
    """An authority over TLS. It refuses what Entra refuses: everything but a POST of a form to a token endpoint."""

    def __init__(self, tls: ssl.SSLContext, ca_file: Path) -> None:
        self.ca_file = ca_file
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._holds: SimpleQueue[Held] = SimpleQueue()
        self.server = ScriptedService(self._serve, tls)

    @property
    def authority(self) -> str:
        return self.server.at("localhost")

    def answer(self, answer: Answer) -> None:
        self._answers.put(answer)

    def hold(self) -> Held:
        """Keep the next request waiting."""
        held = Held()
        self._holds.put(held)
        return held

    def _serve(self, conversation: Conversation) -> None:
        while received := conversation.receive():
            if not self._holds.empty():
                self._holds.get().arrive(conversation.connection)
            is_form = received.headers.get("content-type") == "application/x-www-form-urlencoded"
            is_token = received.path.endswith(("/oauth2/v2.0/token", "/adfs/oauth2/token"))
            answer = Answer(404)
            if received.method == "POST" and is_form and is_token:
                answer = token() if self._answers.empty() else self._answers.get()
            if answer.reset_after is not None:
                head = f"HTTP/1.1 {answer.status} Said\r\ncontent-length: {len(answer.body)}\r\n\r\n".encode()
                conversation.send(head + answer.body[: answer.reset_after])
                conversation.reset()
                return
            conversation.answer(answer.status, answer.body, **answer.headers)

    def take(self) -> tuple[Received, dict[str, str]]:
        """The oldest request that was not taken yet, and its form."""
        received = self.server.take()
        pairs = parse_qsl(received.body.decode(), keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs)
        return received, dict(pairs)

    @property
    def is_idle(self) -> bool:
        return self.server.requests.empty()

    @property
    def options(self) -> dict[str, Any]:
        """The keywords that lead a credential here."""
        return {"authority": self.authority, "ca_file": self.ca_file}


class Kind:
    """The sync or the async credentials."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name, self.module = name, module

    def __str__(self) -> str:
        return self.name

    def make(self, name: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self.module, name)(*arguments, **options)

    def with_secret(self, entra: Entra, secret: str = "secret", **options: Any) -> Any:
        return self.make("ClientSecretCredential", TENANT, CLIENT, secret, **{**entra.options, **options})


SYNC = Kind("sync", hubpass.identity)
ASYNC = Kind("async", hubpass.identity.aio)


def get(credential: Any, *scopes: str, **options: Any) -> str:
    """The text of a token."""
    text: str = settle(credential.get_token(*(scopes or (SCOPE,)), **options)).token
    return text


def write_tool(folder: Path, name: str, script: str) -> Path:
    """A program that stands in for a tool; it can do what a shell can do without programs of the system."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def claims_of(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unverified."""

    def part(text: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
        return found

    header, claims, _ = assertion.split(".")
    return part(header), part(claims)


def soon(seconds: int = 3600) -> int:
    return int(time.time()) + seconds
