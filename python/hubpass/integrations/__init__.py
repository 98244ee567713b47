"""Routes that answer ``POST .../negotiate``, ready to mount: one module for each framework.

Each imports its framework and is imported by nothing else. All of them take the same keywords, but for CORS in Azure
Functions, which is the platform's; see :func:`hubpass.integrations.asgi.negotiate_asgi`.
"""
