#!/usr/bin/python
# MIT licence
"""See whether machines could be launched as asked, and what they would cost, before anything is changed.

More than half of this file is its documentation.
"""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: ec2_preflight
short_description: See whether EC2 machines could be launched as asked, before anything is changed
version_added: 0.1.0
description:
  - Finds the project's machines by their tags C(Project) and C(Name), and checks that those which are missing could be
    launched and those which are stopped could be started. Changes nothing, except that with O(request_quota=true) it
    asks AWS to raise a quota that is too small.
  - Checks the values by themselves first, without asking AWS; then credentials, types and zones, GPU, image, disk,
    network, price and vCPU quotas. All that is wrong is said at once, a sentence each.
  - When no machine is missing or stopped, EC2 is asked for the machines and the security group, and nothing else.
options:
  machines:
    description: The machines.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The machine's name.
        type: str
        required: true
      instance_type:
        description: The only type that will do for this machine.
        type: str
      tags:
        description: Further tags of this machine.
        type: dict
        default: {}
  project:
    description: The C(Project) tag by which machines are found.
    type: str
    required: true
  owner:
    description: The C(Owner) tag.
    type: str
    required: true
  tags:
    description: Further tags of all that is made.
    type: dict
    default: {}
  instance_types:
    description: The instance types that will do, the preferred one first.
    type: list
    elements: str
    default: []
  zones:
    description: The availability zones that will do. Empty, all that offer the type.
    type: list
    elements: str
    default: []
  spot:
    description: Whether spot capacity is wanted.
    type: bool
    default: false
  spot_fallback:
    description: Whether on-demand capacity will do when there is no spot capacity.
    type: bool
    default: false
  max_price:
    description: What a machine may cost, in USD per hour. V(0) is no limit.
    type: float
    default: 0
  gpu_required:
    description: Whether a machine without a GPU is refused.
    type: bool
    default: false
  gpu_architectures:
    description: The compute capabilities that what is installed has code for. Empty, any.
    type: list
    elements: str
    default: []
  ami:
    description: A system (C(ubuntu2204), C(ubuntu2404), C(debian12), C(dlami2204), C(dlami2404)), an image's id, or the
      name of an own image.
    type: str
    required: true
  volume_size:
    description: The root disk, in GB.
    type: int
    default: 40
  volume_iops:
    description: Its IOPS.
    type: int
    default: 3000
  volume_throughput:
    description: Its throughput, in MiB/s.
    type: int
    default: 125
  data_volume_size:
    description: The data volume, in GB. V(0) is none.
    type: int
    default: 0
  required_gb:
    description: What the root disk needs at the least, in GB.
    type: int
    default: 8
  vpc_id:
    description: The VPC. Empty, the region's default one.
    type: str
    default: ""
  subnet_ids:
    description: The subnets that will do. Empty, all of O(vpc_id).
    type: list
    elements: str
    default: []
  security_group_ids:
    description: Existing security groups, in place of one with a rule for O(ssh_from).
    type: list
    elements: str
    default: []
  ssh_from:
    description: Who may reach port 22, as a CIDR. Empty, the address that O(address_url) sees.
    type: str
    default: ""
  ssh_from_anywhere:
    description: Whether O(ssh_from) may be most of the internet.
    type: bool
    default: false
  ssh_proxy_jump:
    description: A host to jump over.
    type: str
    default: ""
  ssh_proxy_command:
    description: A command to connect through.
    type: str
    default: ""
  address_url:
    description: What answers with the address that a request came from.
    type: str
    default: https://checkip.amazonaws.com
  key_file:
    description: An existing private SSH key.
    type: str
    default: ""
  key_name:
    description: An existing key pair of EC2, whose private half is O(key_file).
    type: str
    default: ""
  request_quota:
    description: Whether to ask AWS for a higher quota when one is too small.
    type: bool
    default: false
  price_table:
    description: The file of prices for where the Pricing API does not answer.
    type: path
    required: true
  timeout:
    description: How long the role will wait, in seconds. Only checked here.
    type: int
    default: 600
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
attributes:
  check_mode:
    description: Nothing is changed either way; in check mode no quota is requested.
    support: full
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
- name: See whether two machines could be launched
  ec2_preflight:
    region: us-east-1
    project: course
    owner: teacher
    machines:
      - name: alice
      - name: bob
        instance_type: g5.xlarge
    instance_types: [g4dn.xlarge, g5.xlarge]
    ami: ubuntu2204
    price_table: prices.json
"""

RETURN = r"""
machines:
  description: All machines of the project that are alive.
  type: list
  elements: dict
  returned: always
missing:
  description: The names of those that are asked for and not there.
  type: list
  elements: str
  returned: always
asleep:
  description: The names of those that are there and not running.
  type: list
  elements: str
  returned: always
pending:
  description: The names of those that are being launched or started at this moment.
  type: list
  elements: str
  returned: always
unnamed:
  description: The ids of those that an interrupted launch left without their name.
  type: list
  elements: str
  returned: always
candidates:
  description: For each missing machine, the places where it may be launched, in their order.
  type: dict
  returned: always
image:
  description: The image.
  type: dict
  returned: when a machine is missing
ssh_from:
  description: Who is to reach port 22, as a CIDR.
  type: str
  returned: when no security group is given
group_id:
  description: The id of the project's security group, where that is there with just the rules and tags it is to have.
    Empty where something is to be done about it.
  type: str
  returned: always
lines:
  description: What is about to happen and what it costs, to show.
  type: list
  elements: str
  returned: always
"""

import ipaddress
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.urls import open_url
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule

from ..module_utils.ec2_errors import sentence
from ..module_utils.ec2_group import found_groups, settled
from ..module_utils.ec2_holdings import MANAGED_BY
from ..module_utils.ec2_inputs import caller_refusal, refusals
from ..module_utils.ec2_plan import Plan, Refused
from ..module_utils.ec2_plan_lines import kept_types, lines
from ..module_utils.ec2_prices import Prices, client_of
from ..module_utils.ec2_project import by_name, instances, state_of, summaries, tags_of

try:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError:  # AnsibleAWSModule says so, in its own words.
    pass

SUBOPTIONS = {
    "name": {"type": "str", "required": True},
    "instance_type": {"type": "str"},
    "tags": {"type": "dict", "default": {}},
}
LISTS = ("instance_types", "zones", "gpu_architectures", "subnet_ids", "security_group_ids")
SPEC = {
    "machines": {"type": "list", "elements": "dict", "required": True, "options": SUBOPTIONS},
    "project": {"type": "str", "required": True},
    "owner": {"type": "str", "required": True},
    "tags": {"type": "dict", "default": {}},
    **{name: {"type": "list", "elements": "str", "default": []} for name in LISTS},
    "spot": {"type": "bool", "default": False},
    "spot_fallback": {"type": "bool", "default": False},
    "max_price": {"type": "float", "default": 0},
    "gpu_required": {"type": "bool", "default": False},
    "ami": {"type": "str", "required": True},
    "volume_size": {"type": "int", "default": 40},
    "volume_iops": {"type": "int", "default": 3000},
    "volume_throughput": {"type": "int", "default": 125},
    "data_volume_size": {"type": "int", "default": 0},
    "required_gb": {"type": "int", "default": 8},
    "vpc_id": {"type": "str", "default": ""},
    "ssh_from": {"type": "str", "default": ""},
    "ssh_from_anywhere": {"type": "bool", "default": False},
    "ssh_proxy_jump": {"type": "str", "default": ""},
    "ssh_proxy_command": {"type": "str", "default": ""},
    "address_url": {"type": "str", "default": "https://checkip.amazonaws.com"},
    "key_file": {"type": "str", "default": "", "no_log": False},
    "key_name": {"type": "str", "default": "", "no_log": False},
    "request_quota": {"type": "bool", "default": False},
    "price_table": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 600},
}


CONFIG = {"connect_timeout": 5, "read_timeout": 20, "retries": {"mode": "standard", "max_attempts": 4}}

# Seconds that an answer about prices may take; the table of prices is at hand.
PATIENCE = 1.5


class Clients:
    """boto3's clients, each made once; making them is the one thing that threads must not do at once."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module, self.made, self.lock = module, {}, threading.Lock()

    def __call__(self, service: str) -> Any:
        with self.lock:
            if service not in self.made:
                self.made[service] = self.module.client(service, aws_config=CONFIG)
            return self.made[service]


def refuse(module: AnsibleAWSModule, sentences: list[str]) -> NoReturn:
    """End with all that is wrong; nothing was changed."""
    module.fail_json(msg="\n".join(dict.fromkeys(sentences)), refusals=sentences)


def caller(asked: dict[str, Any]) -> str:
    """The CIDR of the address that this run comes from.

    Raises Refused when there is no such address, or EC2 will not see it.
    """
    url = asked["address_url"]
    try:
        answer = open_url(url, timeout=10).read(200).decode(errors="replace").strip()
    except Exception as error:
        raise Refused(
            f"{url} did not say which address this run comes from ({error}): set ssh_from (ec2_ssh_from) to the "
            "CIDR you come from."
        ) from error
    if refusal := caller_refusal(answer, url):
        raise Refused(refusal)
    return str(ipaddress.ip_network(answer))


def preflight(module: AnsibleAWSModule, clients: Clients) -> dict[str, Any]:
    asked = module.params
    names = [machine["name"] for machine in asked["machines"]]
    ec2, project = clients("ec2"), asked["project"]
    tags = {**asked["tags"], "Project": project, "Owner": asked["owner"], "ManagedBy": MANAGED_BY}
    with ThreadPoolExecutor(2) as pool:
        opens_port = not asked["security_group_ids"]
        comes_from = pool.submit(caller, asked) if opens_port and not asked["ssh_from"] else None
        groups = pool.submit(found_groups, ec2, project, asked["vpc_id"]) if opens_port else None
        found = instances(ec2, project)
        ssh_from = comes_from.result() if comes_from else asked["ssh_from"]
        group_id = settled(groups.result(), tags, ssh_from) if groups else ""
    alive = by_name(found)
    for name in [name for name in names if len(alive.get(name, [])) > 1]:
        first, *others = [one["InstanceId"] for one in alive[name]]
        module.warn(
            f"{len(others) + 1} machines are called {name}: {first} is used, being the oldest. Delete "
            f"{', '.join(others)}."
        )
    wanted = {name: alive[name][0] for name in names if name in alive}
    missing = [machine for machine in asked["machines"] if machine["name"] not in wanted]
    asleep = [one for one in wanted.values() if state_of(one) in ("stopping", "stopped")]
    result: dict[str, Any] = {
        "machines": summaries(found),
        "missing": [machine["name"] for machine in missing],
        "asleep": [name for name, one in wanted.items() if one in asleep],
        "pending": [name for name, one in wanted.items() if state_of(one) == "pending"],
        "unnamed": [one["InstanceId"] for one in wanted.values() if not tags_of(one).get("Name")],
        "ssh_from": ssh_from,
        "group_id": group_id,
        "candidates": {},
        "lines": [],
    }
    if missing or asleep:
        plan = Plan(clients, asked, Prices(client_of(module), asked["region"], Path(asked["price_table"]), PATIENCE))
        made = plan.make(missing, asleep)
        result |= {"candidates": made["candidates"], "image": made["image"], "lines": lines(plan, made, asleep)}
    result["lines"] += kept_types(asked, wanted)
    return result


def main() -> None:
    module = AnsibleAWSModule(argument_spec=SPEC, supports_check_mode=True)
    if module.check_mode:
        module.params["request_quota"] = False
    session = boto3.session.Session()
    regions = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions("ec2", partition)
    ]
    if wrong := refusals(module.params, regions):
        refuse(module, wrong)
    clients = Clients(module)
    try:
        result = preflight(module, clients)
    except Refused as refused:
        refuse(module, list(refused.args))
    except (BotoCoreError, ClientError) as error:

        def decode(message: str) -> dict:
            return clients("sts").decode_authorization_message(EncodedMessage=message)

        module.fail_json_aws(error, msg=sentence(error, module.params["region"], decode, "to say what there is"))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
