# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""The way out of a closed network, for a module and all that it starts: a proxy, and the certificates to trust.

A password in the proxy's address travels as an option that is not logged. A task's `environment` would show it: it is
part of the command line that Ansible prints at -vvv, and that the machine's `ps` has.
"""

from __future__ import annotations

import os
import re
import ssl
from typing import Any

from .failed import Failed

OPTIONS = {"proxy": {"type": "str", "no_log": True}, "no_proxy": {"type": "str"}, "ca_bundle": {"type": "path"}}
# The port is asked for, since curl (so git), pip and apt each take another one where there is none.
PROXY = re.compile(
    r"(?P<scheme>https?://)(?P<login>[^\s/@:\"']+(:[^\s/@\"']*)?@)?(?P<host>[^\s/@:\"']+|\[[0-9a-fA-F:]+\]):\d{1,5}/?"
)
# The machine itself, and where EC2 tells a machine about itself.
OWN = ("localhost", "127.0.0.1", "::1", "169.254.169.254")
# OpenSSL and uv; requests, so conda; curl; pip; git; conda where .condarc says something else.
CERTIFICATES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CONDA_SSL_VERIFY",
)


def use(module: Any) -> None:
    """Have what this module does, and what it starts, go by OPTIONS. Raises Failed."""
    proxy, no_proxy, bundle = (module.params[name] for name in OPTIONS)
    if proxy:
        login(proxy)
        hide(module, proxy)
        _set(dict.fromkeys(("http_proxy", "https_proxy"), proxy))
    if proxy or no_proxy:
        given = no_proxy or os.environ.get("no_proxy", "")
        _set({"no_proxy": ",".join([*filter(None, [given]), *OWN])})
    if bundle:
        ensure_certificates(bundle)
        os.environ.update(dict.fromkeys(CERTIFICATES, bundle))


def hide(module: Any, address: str) -> None:
    """Keep an address's password unshown also where a program tells the address in another form."""
    found = re.match(r"https?://([^\s/@]+)@", address)
    if found:
        module.no_log_values.add(found[1])


def login(proxy: str) -> str:
    """What stands before the @ of a proxy's address; empty where it has none. Raises Failed, without telling it."""
    read = PROXY.fullmatch(proxy)
    if not read:
        raise Failed(
            "proxy is no http://[USER:PASSWORD@]HOST:PORT; in a password, characters such as @ and / are written %40 "
            "and %2F.",
            options=["proxy"],
        )
    return (read["login"] or "").rstrip("@")


def ensure_certificates(bundle: str) -> None:
    """Raise Failed where a file of this machine has none."""
    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError) as error:
        fault = "there is no such file" if isinstance(error, FileNotFoundError) else "it holds no certificates"
        raise Failed(f"ca_bundle is {bundle}: {fault} on this machine.", options=["ca_bundle"]) from error


def _set(variables: dict[str, str]) -> None:
    """In both ways of writing them: some programs read this one first, others that."""
    for name, value in variables.items():
        os.environ[name] = os.environ[name.upper()] = value
