"""How to reach the management cluster: the user's own kubeconfig (exec plugins included) or the pod's service account.

This kubeconfig is trusted, because it belongs to the user who starts the manager, so the loaders of the `kubernetes` package may read it.
Kubeconfigs of clusters we made are not trusted and go through adapters.kube.kubeconfig instead. The file is never written to.
"""

from __future__ import annotations

import asyncio
import binascii
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from provider.adapters import oserrors
from provider.api.conditions import Reason
from provider.errors import Terminal, Transient

if TYPE_CHECKING:
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.client.configuration import Configuration

CONNECTIONS = 32
"""Connections kept to the API server."""
LOGIN_DEADLINE = 30.0
"""Seconds; an exec plugin may have to ask an identity provider."""
POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
USER_AGENT = "cluster-api-provider-kind"


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials in use: `client` makes requests; the other fields are for kopf, which has an HTTP session of its own."""

    client: ApiClient
    server: str
    tls: ssl.SSLContext
    authorization: str
    """Value of the Authorization header; empty with client certificates."""
    proxy: str | None


async def login(kubeconfig: str, context: str, scratch: Path) -> Login:
    """Load credentials afresh. Raises Terminal when they cannot be used, Transient when a plugin does not answer.

    `kubeconfig`: one or more paths as in $KUBECONFIG; empty: the pod's service account, else ~/.kube/config. `scratch`: a private
    folder where the loader may put decoded keys; the caller empties it.
    """
    # Imported here because it takes half a second that --help does not need.
    import yaml
    from kubernetes.aio.client.api_client import ApiClient
    from kubernetes.aio.config.config_exception import ConfigException

    try:
        async with asyncio.timeout(LOGIN_DEADLINE):
            configuration = await _configure(kubeconfig, context, scratch)
        client = ApiClient(configuration)
    except TimeoutError as error:
        raise Transient(Reason.LOGIN_TIMEOUT, f"Credentials were not ready within {LOGIN_DEADLINE:.0f} s.") from error
    except (ConfigException, OSError, ValueError, TypeError, KeyError, binascii.Error, yaml.YAMLError) as error:
        oserrors.raise_lack(error)
        # The loader's own text may quote parts of the file; only its kind and a path are passed on.
        message = f"The management cluster's kubeconfig {kubeconfig or '(default)'} cannot be used ({type(error).__name__})."
        raise Terminal(Reason.KUBECONFIG_UNUSABLE, message + _cure(kubeconfig, context)) from error
    client.user_agent = USER_AGENT
    header = (await configuration.auth_settings()).get("BearerToken", {}).get("value")
    return Login(client, configuration.host, client.rest_client.ssl_context, header or "", configuration.proxy)


def pod_namespace() -> str | None:
    """Namespace of the pod this process runs in; None outside of a pod."""
    try:
        return POD_NAMESPACE.read_text().strip() or None
    except OSError:
        return None


async def _configure(kubeconfig: str, context: str, scratch: Path) -> Configuration:
    from kubernetes.aio.client.configuration import Configuration
    from kubernetes.aio.config import incluster_config, kube_config
    from kubernetes.aio.config.config_exception import ConfigException

    configuration = Configuration()
    configuration.connection_pool_maxsize = CONNECTIONS
    if not kubeconfig and not context:
        try:
            incluster_config.load_incluster_config(client_configuration=configuration)
        except ConfigException:
            pass
        else:
            return configuration
    files = kubeconfig or str(Path.home() / ".kube" / "config")
    await kube_config.load_kube_config(
        config_file=files,
        context=context or None,
        client_configuration=configuration,
        persist_config=False,
        temp_file_path=str(scratch),
    )
    return configuration


def _cure(kubeconfig: str, context: str) -> str:
    if context:
        return f" Check that it is readable and has the context {context!r}."
    if kubeconfig:
        return " Check that every named file is readable and that current-context is set."
    return " Outside of a pod, set --kubeconfig or KUBECONFIG."
