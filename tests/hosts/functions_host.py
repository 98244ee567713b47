"""Plays the host of Azure Functions to Microsoft's own Python worker, the package azure-functions-runtime.

The host and the worker exchange messages (azure-functions-language-worker-protobuf, ``FunctionRpc.proto``). Here those
are plain objects, since the worker only sets and reads their fields: what it indexes, loads and calls, and how it reads
a request and writes an answer, is its own code.

``python functions_host.py FOLDER`` writes the functions that the worker has found as a line of JSON, then takes a
request a line and answers each with a line.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as worker  # type: ignore[import-not-found]


class Message:
    """A message with the fields that it was given; of those that exclude each other it knows which one was."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def WhichOneof(self, _: str) -> str | None:  # noqa: N802 - the name is protobuf's
        return next(iter(self.__dict__), None)


class Protos:
    """The classes of all messages, made when they are asked for."""

    # The numbers are those of the protocol.
    BindingInfo = type("BindingInfo", (Message,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})
    StatusResult = type("StatusResult", (Message,), {"Failure": 0, "Success": 1})

    def __getattr__(self, name: str) -> type[Message]:
        return type(name, (Message,), {})


def asked(kind: str, **fields: Any) -> SimpleNamespace:
    """A request as the worker gets it."""
    properties = {"protos": Protos(), "host": "127.0.0.1"}
    return SimpleNamespace(request=SimpleNamespace(**{kind: Message(**fields)}), properties=properties)


def checked(response: Any) -> Any:
    """The response, if it is one of success."""
    if response.result.status != Protos.StatusResult.Success:  # type: ignore[attr-defined]
        raise RuntimeError(f"{response.result.exception.message}\n{response.result.exception.stack_trace}")
    return response


class Host:
    """A worker with an application."""

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}

    async def load(self, folder: str) -> None:
        """Start the worker, have it index the functions of a folder, and load each."""
        checked(
            await worker.worker_init_request(
                asked("worker_init_request", capabilities={}, function_app_directory=folder)
            )
        )
        found = checked(await worker.functions_metadata_request(asked("functions_metadata_request")))
        for function in found.function_metadata_results:
            request = asked("function_load_request", function_id=function.function_id, metadata=function)
            checked(await worker.function_load_request(request))
            self.functions[function.name] = function

    async def invoke(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function that HTTP triggers."""
        function = self.functions[name]
        trigger = next(json.loads(text) for text in function.raw_bindings if json.loads(text)["type"] == "httpTrigger")
        http = Message(
            method=request["method"],
            url=request["url"],
            headers=request["headers"],
            params=request["route_params"],
            query=request["query"],
            body=Message(bytes=request["body"].encode()),
        )
        # The two fields of a parameter: its name is not one of those that exclude each other.
        given = SimpleNamespace(name=trigger["name"], data=Message(http=http), WhichOneof=lambda _: "data")
        response = checked(
            await worker.invocation_request(
                asked(
                    "invocation_request",
                    invocation_id="1",
                    function_id=function.function_id,
                    input_data=[given],
                    trigger_metadata={},
                    trace_context=Message(trace_parent="", trace_state="", attributes={}),
                    retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
                )
            )
        )
        answer = response.return_value.http
        content = answer.body
        body = getattr(content, str(content.WhichOneof("data")), b"")
        return {
            "status": int(answer.status_code),
            "headers": dict(answer.headers),
            "body": body if isinstance(body, str) else body.decode(),
        }

    def describe(self) -> dict[str, Any]:
        """What the worker has found: the bindings of each function."""
        return {name: [json.loads(text) for text in found.raw_bindings] for name, found in self.functions.items()}


async def main(folder: str) -> None:
    sys.path.insert(0, folder)
    host = Host()
    await host.load(folder)
    print(json.dumps(host.describe()), flush=True)  # noqa: T201 - the interface
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await host.invoke(order.pop("function"), order)), flush=True)  # noqa: T201 - the interface


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
