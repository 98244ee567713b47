from collections.abc import Callable, Mapping
from typing import Any, final

from hubpass._annotations import ClientStatus
from hubpass.models import ClientAccessToken, NegotiationResponse, WebPubSubNegotiationResponse

__all__ = [
    "Credential",
    "Flight",
    "ParsedConnectionString",
    "PendingAnswer",
    "References",
    "SignalRClient",
    "TaskHolder",
    "TokenDelivery",
    "WebPubSubClient",
    "__version__",
    "advance_local_clocks",
    "error_codes",
    "parse_connection_string",
    "renew_local_clocks",
    "shut_down",
    "write_unraisable",
]

__version__: str

@final
class Flight:
    def cancel(self) -> None: ...

@final
class ParsedConnectionString:
    @property
    def kind(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def client_endpoint(self) -> str | None: ...
    @property
    def server_endpoint(self) -> str | None: ...
    @property
    def version(self) -> str | None: ...
    @property
    def warnings(self) -> list[str]: ...

@final
class PendingAnswer:
    # From SignalRClient a pair of NegotiationResponse and the text of a warning, from WebPubSubClient the answer alone.
    def start(self, deliver: Callable[[Any, BaseException | None], object]) -> Flight: ...

@final
class References: ...

@final
class TaskHolder:
    def hold(self, task: object) -> None: ...

@final
class TokenDelivery:
    def abandon(self) -> None: ...
    def complete(self, token: object) -> None: ...
    def complete_assertion(self, assertion: object) -> None: ...
    def fail(self, error: object) -> None: ...

# Each way of making one takes the keywords that all have in common, and whether its methods are coroutines.
@final
class Credential:
    @staticmethod
    def client_secret(
        tenant_id: object, client_id: object, client_secret: object, keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    @staticmethod
    def certificate(
        tenant_id: object,
        client_id: object,
        path: object,
        data: object,
        password: object,
        send_chain: object,
        keywords: Mapping[str, object],
        is_async: bool,
    ) -> Credential: ...
    @staticmethod
    def client_assertion(
        tenant_id: object, client_id: object, func: object, keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    @staticmethod
    def azure_pipelines(
        tenant_id: object,
        client_id: object,
        service_connection_id: object,
        system_access_token: object,
        keywords: Mapping[str, object],
        is_async: bool,
    ) -> Credential: ...
    @staticmethod
    def workload_identity(
        tenant_id: object, client_id: object, token_file_path: object, keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    @staticmethod
    def managed_identity(
        client_id: object, identity_config: object, keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    @staticmethod
    def environment(keywords: Mapping[str, object], is_async: bool) -> Credential: ...
    @staticmethod
    def azure_cli(
        tenant_id: object,
        subscription: object,
        process_timeout: object,
        keywords: Mapping[str, object],
        is_async: bool,
    ) -> Credential: ...
    @staticmethod
    def azure_developer_cli(
        tenant_id: object, process_timeout: object, keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    @staticmethod
    def chained(members: tuple[object, ...], keywords: Mapping[str, object], is_async: bool) -> Credential: ...
    @staticmethod
    def default(
        exclusions: Mapping[str, object], options: Mapping[str, object], keywords: Mapping[str, object], is_async: bool
    ) -> Credential: ...
    # The AccessToken that was given last, if it would be given again.
    def again(self, scopes: tuple[object, ...]) -> Any | None: ...
    # An AccessToken or an AccessTokenInfo; to an async credential without a token in hand: PendingAnswer.
    def get_token(
        self, scopes: tuple[object, ...], claims: object, tenant_id: object, enable_cae: object, is_info: bool
    ) -> Any: ...
    def close(self) -> None: ...

# Arguments are `object` where the core checks them and raises a typed error of its own.
@final
class SignalRClient:
    def __new__(
        cls,
        endpoint: object,
        hub: object,
        credential: object,
        client_endpoint: object,
        server_endpoint: object,
        keywords: Mapping[str, object],
        is_async: bool,
    ) -> SignalRClient: ...
    @staticmethod
    def from_connection_string(
        connection_string: object, hub: object, keywords: Mapping[str, object], is_async: bool
    ) -> SignalRClient: ...
    @staticmethod
    def from_env(hub: object, credential: object, keywords: Mapping[str, object], is_async: bool) -> SignalRClient: ...
    def for_hub(self, hub: object) -> SignalRClient: ...
    def negotiate(
        self,
        user_id: object,
        anonymous: object,
        claims: object,
        lifetime: object,
        allow_long_lifetime: object,
        close_on_authentication_expiration: object,
        authentication_expires_on: object,
        transports: object,
        enable_detailed_errors: object,
        timeout: object,
    ) -> NegotiationResponse | Any: ...  # to an async client without a key: PendingAnswer
    def add_user_to_group(self, user_id: object, group: object, ttl: object, timeout: object) -> None: ...
    def start_add_user_to_group(
        self,
        user_id: object,
        group: object,
        ttl: object,
        timeout: object,
        deliver: Callable[[None, BaseException | None], object],
    ) -> Flight: ...
    def warm_up(self, timeout: object) -> None: ...
    def start_warm_up(self, timeout: object, deliver: Callable[[None, BaseException | None], object]) -> Flight: ...
    def invalidate_key(self, kid: object) -> bool: ...
    def status(self) -> ClientStatus: ...
    def send_to_all(self, target: object, arguments: tuple[object, ...], excluded: object, timeout: object) -> None: ...
    def start_send_to_all(
        self,
        target: object,
        arguments: tuple[object, ...],
        excluded: object,
        timeout: object,
        deliver: Callable[[None, BaseException | None], object],
    ) -> Flight: ...
    def close(self) -> None: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def client_endpoint(self) -> str: ...
    @property
    def server_endpoint(self) -> str: ...
    @property
    def hub(self) -> str: ...
    @property
    def application_name(self) -> str | None: ...

# With Entra the methods that give a token give an async client a PendingAnswer.
@final
class WebPubSubClient:
    def __new__(
        cls,
        endpoint: object,
        hub: object,
        credential: object,
        client_endpoint: object,
        server_endpoint: object,
        keywords: Mapping[str, object],
        is_async: bool,
    ) -> WebPubSubClient: ...
    @staticmethod
    def from_connection_string(
        connection_string: object, hub: object, keywords: Mapping[str, object], is_async: bool
    ) -> WebPubSubClient: ...
    @staticmethod
    def from_env(
        hub: object, credential: object, keywords: Mapping[str, object], is_async: bool
    ) -> WebPubSubClient: ...
    def for_hub(self, hub: object) -> WebPubSubClient: ...
    def get_client_access_token(
        self,
        client_protocol: object,
        user_id: object,
        roles: object,
        minutes_to_expire: object,
        groups: object,
        headers: object,
        timeout: object,
    ) -> ClientAccessToken | Any: ...
    def negotiate(
        self,
        user_id: object,
        anonymous: object,
        roles: object,
        groups: object,
        lifetime_argument: object,
        client_protocol: object,
        timeout: object,
    ) -> WebPubSubNegotiationResponse | Any: ...
    def warm_up(self, timeout: object) -> None: ...
    def start_warm_up(self, timeout: object, deliver: Callable[[None, BaseException | None], object]) -> Flight: ...
    def status(self) -> ClientStatus: ...
    def close(self) -> None: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def client_endpoint(self) -> str: ...
    @property
    def server_endpoint(self) -> str: ...
    @property
    def hub(self) -> str: ...

def advance_local_clocks(seconds: float) -> float: ...
def error_codes() -> dict[str, str]: ...
def parse_connection_string(text: str) -> ParsedConnectionString: ...
def renew_local_clocks(seconds: float) -> None: ...
def shut_down() -> None: ...
def write_unraisable(error: BaseException, source: object) -> None: ...
