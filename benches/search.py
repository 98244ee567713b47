"""Print how many seconds ``DefaultAzureCredential`` of a package, the argument, takes to find nothing.

It is a program for a network namespace of its own (``unshare --net``), where it plays the laptop on which packets to
the metadata service of virtual machines are lost. Neither package is told about it: both look where they always look.
"""

import fcntl
import logging
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

SCOPE = "https://signalr.azure.com/.default"
METADATA_SERVICE = ("169.254.169.254", 80)

# From linux/sockios.h and linux/if.h.
SIOCSIFFLAGS, SIOCSIFADDR = 0x8914, 0x8916
IFF_UP, IFF_RUNNING = 0x1, 0x40


def set_up_loopback() -> None:
    """Bring the loopback interface of a new namespace up, with the metadata service's address beside its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", METADATA_SERVICE[0])):
            request = struct.pack("=16sHH4s16x", name, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, SIOCSIFADDR, request)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("=16sH22x", b"lo", IFF_UP | IFF_RUNNING))


@contextmanager
def black_hole() -> Iterator[None]:
    """Listen with a full queue: the kernel drops what comes, so that a further connection neither opens nor fails."""
    with socket.socket() as listener:
        listener.bind(METADATA_SERVICE)
        listener.listen(0)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket())
                waiting[-1].settimeout(0.2)
                try:
                    waiting[-1].connect(METADATA_SERVICE)
                except TimeoutError:
                    break
            yield
        finally:
            for connection in waiting:
                connection.close()


def seconds_to_find_nothing(package: str) -> float:
    credentials = import_module(package)
    errors = import_module("azure.core.exceptions" if package.startswith("azure") else package)
    begin = time.perf_counter()
    try:
        credentials.DefaultAzureCredential().get_token(SCOPE)
    except errors.ClientAuthenticationError as error:
        seconds = time.perf_counter() - begin
        if "ManagedIdentityCredential" in str(error):
            return seconds
        raise
    sys.exit("A token was found where there is none.")


if __name__ == "__main__":
    # azure-identity logs what it did not find, which is not news here.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    set_up_loopback()
    with black_hole():
        print(seconds_to_find_nothing(sys.argv[1]))
