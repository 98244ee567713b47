"""A chat with Azure SignalR Service in Azure Functions, programming model v2.

Without Azure: hubpass emulator run -- func start
"""

import azure.functions as func

from hubpass import SignalRServiceClient
from hubpass.integrations.azure_functions import negotiate_blueprint
from hubpass.integrations.easy_auth import easy_auth

# Reads AzureSignalRConnectionString, or AzureSignalRConnectionString__serviceUri for the managed identity.
chat = SignalRServiceClient.from_env("chat")

app = func.FunctionApp()
# Pages connect to /api/chat. Who they are, App Service Authentication says; without it nobody gets in.
app.register_functions(negotiate_blueprint(chat, "/chat", authorize=easy_auth))


@app.route("messages", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
def send(req: func.HttpRequest) -> func.HttpResponse:
    """Send a text to everybody who is connected."""
    chat.send_to_all("message", req.params.get("text", ""))
    return func.HttpResponse(status_code=202)
