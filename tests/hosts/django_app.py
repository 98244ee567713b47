"""A Django project in one file that negotiates: with sync views for WSGI, with async ones for ASGI."""

import os

from django.conf import settings  # type: ignore[import-not-found]
from django.core.asgi import get_asgi_application  # type: ignore[import-not-found]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-not-found]
from django.http import HttpRequest, JsonResponse  # type: ignore[import-not-found]
from django.urls import path  # type: ignore[import-not-found]

import hubpass
import hubpass.aio
from hosts.settings import WORKER, connect

IS_ASYNC = os.environ.get("VIEWS") == "async"

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="made up", USE_TZ=True)
clients = connect(hubpass.SignalRServiceClient)
async_clients = connect(hubpass.aio.SignalRServiceClient)
if not IS_ASYNC:
    clients["chat"].warm_up()


def negotiate(_: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse(clients[name].negotiate("ada"), headers={WORKER: str(os.getpid())})


def invalidate_key(_: HttpRequest, kid: str) -> JsonResponse:
    return JsonResponse(clients["chat"].invalidate_key(kid), safe=False)


async def negotiate_async(_: HttpRequest, name: str) -> JsonResponse:
    return JsonResponse(await async_clients[name].negotiate("ada"), headers={WORKER: str(os.getpid())})


async def invalidate_key_async(_: HttpRequest, kid: str) -> JsonResponse:
    return JsonResponse(await async_clients["chat"].invalidate_key(kid), safe=False)


urlpatterns = [
    path("<str:name>/negotiate", negotiate_async if IS_ASYNC else negotiate),
    path("chat/keys/<str:kid>", invalidate_key_async if IS_ASYNC else invalidate_key),
]
app = get_asgi_application() if IS_ASYNC else get_wsgi_application()
