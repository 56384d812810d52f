#!/usr/bin/python
# Copyright: the gluon-ec2 authors
# MIT License (see LICENSE or https://opensource.org/licenses/MIT)
"""What a whole machine knows of the way out of a closed network."""

from __future__ import annotations

DOCUMENTATION = r"""
module: outbound
short_description: Give apt a proxy, and a machine further certification authorities
description:
  - Writes the proxy into a file of apt's configuration, so that unattended upgrades and everybody's own use of apt go
    by it too. Without O(proxy) the file is removed.
  - Adds O(certificates) to those that the machine trusts, by C(update-ca-certificates). What it added before and is not
    among them goes.
options:
  proxy:
    description: >-
      Such as V(http://proxy.example.org:3128) or V(http://USER:PASSWORD@proxy.example.org:3128). Where it has a
      password, only root can read the file.
    type: str
  no_proxy:
    description: Hosts that apt reaches without it, with commas between them. apt knows whole names only.
    type: str
  certificates:
    description: Certificates of authorities, one after the other, as text (PEM).
    type: str
    default: ""
attributes:
  check_mode:
    description: Tells what it would write.
    support: full
  diff_mode:
    description: Shows the file of apt's configuration, without a password, and the names of the certificates' files.
    support: full
author: [The gluon-ec2 authors (@d2l-ai)]
"""

EXAMPLES = r"""
- name: Lead the machine out by the company's proxy
  outbound:
    proxy: http://proxy.example.org:3128
    no_proxy: packages.example.org
    certificates: "{{ lookup('ansible.builtin.file', '~/example-company.pem') }}"
"""

RETURN = r"""
written:
  description: Files that were written.
  returned: success
  type: list
  elements: str
  sample: [/etc/apt/apt.conf.d/90outbound]
removed:
  description: Files that were removed.
  returned: success
  type: list
  elements: str
"""

import hashlib
import os
import re
import ssl
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import network
from ..module_utils.failed import Failed

APT = Path("/etc/apt/apt.conf.d/90outbound")
ADDED = Path("/usr/local/share/ca-certificates")
TRUSTED = Path("/etc/ssl/certs/ca-certificates.crt")
UPDATE = "/usr/sbin/update-ca-certificates"
BEGIN = "-----BEGIN CERTIFICATE-----"
END = "-----END CERTIFICATE-----"


def apt_text(proxy: str, no_proxy: str) -> str:
    """apt's configuration."""
    # A name that begins with a dot, or a network, is nothing that apt could compare with a host.
    direct = [host for host in no_proxy.split(",") if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", host)]
    lines = ["// Written by Ansible, and written anew where it differs."]
    for kind in ("http", "https"):
        lines.append(f'Acquire::{kind}::Proxy "{proxy}";')
        lines += [f'Acquire::{kind}::Proxy::{host} "DIRECT";' for host in direct]
    return "".join(f"{line}\n" for line in lines)


def read_certificates(text: str) -> dict[Path, str]:
    """Each certificate by the file it is to be in: one to a file, or OpenSSL would not find it. Raises Failed."""
    found = {}
    for body in re.findall(f"{BEGIN}(.*?){END}", text, re.DOTALL):
        pem = f"{BEGIN}\n{body.strip()}\n{END}\n"
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
            digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        except (ValueError, ssl.SSLError) as error:
            raise Failed(f"One of the certificates cannot be read: {error}.", options=["certificates"]) from error
        found[ADDED / f"outbound-{digest[:12]}.crt"] = pem
    if text.strip() and not found:
        raise Failed(
            f"There is no certificate in the file: one in PEM begins with {BEGIN}. One that begins otherwise may be in "
            "DER: convert it by openssl x509 -inform der.",
            options=["certificates"],
        )
    return found


def differs(path: Path, text: str, mode: int) -> bool:
    """Whether a file is to be written."""
    return not path.is_file() or path.stat().st_mode & 0o777 != mode or path.read_text(errors="replace") != text


def write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable for more than it is meant for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=".outbound.", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        os.fchmod(handle, mode)
    Path(draft).replace(path)


def links() -> set[str]:
    """The names of our certificates of which update-ca-certificates knows: it makes a link for each."""
    return {link.stem for link in TRUSTED.parent.glob("outbound-*.pem")}


def is_trusted(certificates: dict[Path, str]) -> bool:
    """Whether update-ca-certificates has read these and no others of ours."""
    bundle = TRUSTED.read_text(errors="replace") if TRUSTED.is_file() else ""
    return links() == {path.stem for path in certificates} and all(pem in bundle for pem in certificates.values())


def shown(text: str) -> str:
    """Without a password."""
    return re.sub(r"//[^/@\s]+@", "//...@", text)


def act(module: AnsibleModule) -> dict[str, object]:
    """Do what is asked; what the module returns. Raises Failed and OSError."""
    proxy, no_proxy = module.params["proxy"], module.params["no_proxy"] or ""
    certificates = read_certificates(module.params["certificates"])
    files = {path: (pem, 0o644) for path, pem in certificates.items()}
    if proxy:
        network.hide(module, proxy)
        files[APT] = (apt_text(proxy, no_proxy), 0o600 if network.login(proxy) else 0o644)
    written = [path for path, (text, mode) in files.items() if differs(path, text, mode)]
    removed = [path for path in (APT, *sorted(ADDED.glob("outbound-*.crt"))) if path.exists() and path not in files]
    before = "" if APT not in written + removed or not APT.exists() else shown(APT.read_text(errors="replace"))
    after = shown(files[APT][0]) if APT in written else ""
    updates = not is_trusted(certificates) or any(path != APT for path in written)
    if updates and not Path(UPDATE).exists():
        raise Failed(f"This machine has no {UPDATE}: install the package ca-certificates.", options=["certificates"])
    if not module.check_mode:
        for path in written:
            write(path, *files[path])
        for path in removed:
            path.unlink()
        if updates:
            # It takes away links to what has gone only by making all of them anew, for a moment without any.
            fresh = ["--fresh"] if links() - {path.stem for path in certificates} else []
            module.run_command([UPDATE, *fresh], check_rc=True)
    told = {"written": [str(path) for path in written], "removed": [str(path) for path in removed]}
    names = {name: "".join(f"{path}\n" for path in told[name]) for name in told}
    diff = [
        {"before_header": str(APT), "after_header": str(APT), "before": before, "after": after},
        {"before": names["removed"], "after": names["written"]},
    ]
    return {"changed": bool(written or removed or updates), "diff": diff, **told}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "proxy": network.OPTIONS["proxy"],
            "no_proxy": network.OPTIONS["no_proxy"],
            "certificates": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    try:
        told = act(module)
    except Failed as error:
        module.fail_json(msg=str(error), **error.told)
    except OSError as error:
        where = error.filename or "a file"
        module.fail_json(msg=f"{where} cannot be read or written: {error.strerror}. Mend that, and run this again.")
    module.exit_json(**told)


if __name__ == "__main__":
    main()
