"""The clients of :mod:`hubpass` with coroutines. Errors, models and arguments are the same."""

from hubpass.aio._signalr import SignalRServiceClient
from hubpass.aio._webpubsub import WebPubSubServiceClient

__all__ = ["SignalRServiceClient", "WebPubSubServiceClient"]
