# MIT licence
"""The machines of a project in EC2, as an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: gluon_ec2
short_description: The machines of a project in EC2, as an inventory
version_added: 0.1.0
description:
  - Asks EC2 which machines of a project are alive. Those that run are in the group C(gluon), the others (pending,
    stopping, stopped) in C(gluon_asleep); what is being terminated is in neither.
  - Either all pages of EC2's answer are read, or the inventory fails. Nothing is cached, so nothing can be out of date.
  - A host has the name of the machine's C(Name) tag. A machine that was launched with others and has no such tag yet
    has its place in their C(Names) tag. When Ansible cannot use the name, or an older machine has it, the host has the
    instance's id for a name, and a warning says so.
  - The host variables C(aws_*) have the names and values that C(amazon.aws.aws_ec2) gives them with
    C(hostvars_prefix=aws_), but are only the few that are of use - C(aws_instance_id), C(aws_instance_type),
    C(aws_instance_lifecycle) (C(spot), or C(on-demand)), C(aws_image_id), C(aws_launch_time),
    C(aws_placement.availability_zone), C(aws_state.name), C(aws_private_ip_address), C(aws_public_ip_address) where
    there is one, and C(aws_tags).
  - C(ansible_host) is the public address, or the private one where there is none; C(ansible_user) is the C(LoginUser)
    tag.
notes:
  - The name of the inventory file must end in C(aws_ec2.yml) or C(aws_ec2.yaml).
  - Options that name variables take them from the C(group_vars/all) beside the inventory file and from
    C(--extra-vars), so that what the playbooks launch and what the inventory shows is set in one place.
extends_documentation_fragment:
  - amazon.aws.boto3
  - amazon.aws.common.plugins
  - amazon.aws.region.plugins
  - amazon.aws.assume_role.plugins
options:
  plugin:
    description: C(gluon_ec2) in a checkout, C(d2l.gluon_ec2.gluon_ec2) where the collection is installed.
    required: true
  project:
    description: The C(Project) tag of the machines.
    type: str
    default: gluon-ec2
    vars:
      - name: project
  region:
    description: The AWS region to ask.
    type: str
    aliases: [aws_region]
    vars:
      - name: region
    env:
      - name: AWS_REGION
  profile:
    description: The profile of the AWS configuration to use. Empty for whatever the AWS command line would use.
    type: str
    aliases: [aws_profile]
    vars:
      - name: aws_profile
    env:
      - name: AWS_PROFILE
      - name: AWS_DEFAULT_PROFILE
  endpoint_url:
    description: Where the EC2 API is, if not at AWS's own address.
    type: str
    aliases: [aws_endpoint_url]
    vars:
      - name: aws_endpoint_url
    env:
      - name: AWS_URL
  access_key:
    description: The id of an access key. Excludes O(profile).
    type: str
    aliases: [aws_access_key_id, aws_access_key]
    vars:
      - name: aws_access_key
    env:
      - name: AWS_ACCESS_KEY_ID
      - name: AWS_ACCESS_KEY
  secret_key:
    description: The secret of the access key.
    type: str
    aliases: [aws_secret_access_key, aws_secret_key]
    vars:
      - name: aws_secret_key
    env:
      - name: AWS_SECRET_ACCESS_KEY
      - name: AWS_SECRET_KEY
author:
  - The gluon-ec2 authors (@d2l-ai)
"""

EXAMPLES = r"""
# reader.aws_ec2.yml, beside group_vars/all.yml with region and project in it
plugin: d2l.gluon_ec2.gluon_ec2
---
# Nothing taken from variables
plugin: d2l.gluon_ec2.gluon_ec2
region: eu-central-1
project: summer-school
"""

import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var
from ansible.utils.vars import combine_vars
from ansible.vars.plugins import get_vars_from_inventory_sources
from ansible_collections.amazon.aws.plugins.plugin_utils.inventory import AWSInventoryBase

try:
    import boto3
    import botocore.session
    from botocore.exceptions import BotoCoreError, ClientError

    # Each session would read EC2's model and the list of regions anew, most of the time that an answer takes. In a run
    # they are read once: when the inventory is read again, and by modules that run in a worker, they are there.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
except ImportError:  # AWSInventoryBase says so, in its own words.
    BotoCoreError = ClientError = Exception

GROUPS = {"running": "gluon", "pending": "gluon_asleep", "stopping": "gluon_asleep", "stopped": "gluon_asleep"}
# What the ec2 role takes for a name; an instance's id is the name of no other instance.
NAME = re.compile(r"(?!i-[0-9a-f]+$)[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
# The most that EC2 puts on one page.
PAGE = 1000
# Half of what EC2 tells of a machine; it cannot be asked for less.
UNUSED = re.compile(rb"<(networkInterfaceSet|blockDeviceMapping)>.*?</\1>", re.DOTALL)
NEXT = {
    "RequestExpired": "The credentials have expired, or this computer's clock is wrong: renew or set them.",
    "ExpiredToken": "The credentials have expired: sign in again (aws sso login, or a new session token).",
    "AuthFailure": "AWS does not know these credentials: check them with aws sts get-caller-identity.",
    "InvalidClientTokenId": "AWS does not know these credentials: check them with aws sts get-caller-identity.",
    "SignatureDoesNotMatch": "The secret does not fit the access key: check both with aws sts get-caller-identity.",
    "UnauthorizedOperation": "The credentials may not do ec2:DescribeInstances: ask who administers the account.",
    "NoCredentialsError": "Run aws configure, or set aws_profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    "EndpointConnectionError": "Check the region's name, the network, and HTTPS_PROXY if a proxy is needed.",
    "ProxyConnectionError": "Check HTTP_PROXY and HTTPS_PROXY; NO_PROXY names the hosts that are reached without them.",
}


def tags_of(instance: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def called(instance: dict[str, Any]) -> str:
    """What its tags call it; empty when they do not."""
    tags = tags_of(instance)
    roster, place = tags.get("Names", "").split(), instance.get("AmiLaunchIndex", 0)
    return tags.get("Name") or (roster[place] if place < len(roster) else "")


def named(instances: Iterable[dict[str, Any]], taken: set[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each instance with its host name, and why that is not what its tags call it (empty when it is).

    taken: names that mean something else in the inventory.
    """
    older: dict[str, str] = {}
    for instance in sorted(instances, key=lambda one: (one["LaunchTime"], one["InstanceId"])):
        identity, name = instance["InstanceId"], called(instance)
        why = ""
        if name in older:
            why = f"the older {older[name]} has that name"
        elif name in taken:
            why = "the inventory uses that name for something else"
        elif name and not NAME.fullmatch(name):
            why = "a host's name has only letters, digits, dashes and underscores, 63 at most, and no dash first"
        elif name:
            older[name] = identity
        yield (identity if why else name or identity), instance, why and f"{identity} is called {name!r}, but {why}"


def variables(instance: dict[str, Any]) -> dict[str, Any]:
    """The host variables of an instance."""
    tags = tags_of(instance)
    public, private = instance.get("PublicIpAddress"), instance.get("PrivateIpAddress")
    user = tags.get("LoginUser", "")
    found = {
        "ansible_host": public or private or instance.get("Ipv6Address"),
        # A tag is anyone's to write who may tag: what is no user's name is not taken for one.
        "ansible_user": user if USER.fullmatch(user) else "ubuntu",
        "aws_instance_id": instance["InstanceId"],
        "aws_instance_type": instance["InstanceType"],
        "aws_instance_lifecycle": instance.get("InstanceLifecycle", "on-demand"),
        "aws_image_id": instance.get("ImageId"),
        "aws_launch_time": instance["LaunchTime"].isoformat(),
        "aws_placement": {"availability_zone": instance["Placement"]["AvailabilityZone"]},
        "aws_state": {"name": instance["State"]["Name"]},
        "aws_private_ip_address": private,
        "aws_public_ip_address": public,
        # ansible-core before 2.19 would run a template that someone wrote into a tag.
        "aws_tags": wrap_var(tags),
    }
    return {name: value for name, value in found.items() if value}


def leave_out_unused(response_dict: dict[str, Any], **_: Any) -> None:
    """Take out of an answer, before botocore parses it, what nobody asks for: most of the time would go into that."""
    response_dict["body"] = UNUSED.sub(b"", response_dict["body"])


class InventoryModule(AWSInventoryBase):
    NAME = "gluon_ec2"
    INVENTORY_FILE_SUFFIXES = ("aws_ec2.yml", "aws_ec2.yaml")

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Fill the inventory. Raises AnsibleError with nothing added when EC2 did not tell of all machines."""
        super().parse(inventory, loader, path, cache)
        instances = [one for one in self._describe() if one["State"]["Name"] in GROUPS]
        taken = {"localhost", *self.inventory.groups, *GROUPS.values()}
        for group in dict.fromkeys(GROUPS.values()):
            self.inventory.add_group(group)
        for name, instance, why in sorted(named(instances, taken), key=lambda one: one[0]):
            if why:
                self.warn(f"{why}; so it is shown as {name}. Give it another Name tag.")
            self.inventory.add_host(name, GROUPS[instance["State"]["Name"]])
            for variable, value in variables(instance).items():
                self.inventory.set_variable(name, variable, value)

    def _read_config_data(self, path: str) -> dict[str, Any]:
        """The file's options; where it sets none, the variables beside it and of the command line do."""
        beside = get_vars_from_inventory_sources(self.loader, [path], [self.inventory.groups["all"]], "all")
        self._vars = combine_vars(beside, self._vars)
        self.templar.available_variables = self._vars
        return super()._read_config_data(path)

    def _check_region(self) -> None:
        """Refuse a region that AWS does not have, with the one that was likely meant."""
        session = boto3.session.Session()
        partitions = session.get_available_partitions()
        known = [name for one in partitions for name in session.get_available_regions("ec2", one)]
        region = str(self.templar.template(self.get_option("region")) or "")
        if region and region not in known:
            near = difflib.get_close_matches(region, known, 3)
            # Letters that changed their places are the likeliest slip.
            near.sort(key=lambda name: sorted(name) != sorted(region))
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            self.fail_aws(f'"{region}" is no region of AWS that boto3 on this computer knows.{meant} Set region.')

    def _describe(self) -> list[dict[str, Any]]:
        """All instances of the project that are alive. Raises AnsibleError when a page of the answer is missing."""
        filters = {
            "tag:Project": [str(self.templar.template(self.get_option("project")))],
            "instance-state-name": list(GROUPS),
        }
        self._check_region()
        ec2 = self.client("ec2")
        ec2.meta.events.register("before-parse.ec2.DescribeInstances", leave_out_unused)
        try:
            pages = ec2.get_paginator("describe_instances").paginate(
                Filters=[{"Name": name, "Values": values} for name, values in filters.items()],
                PaginationConfig={"PageSize": PAGE},
            )
            return [one for page in pages for reservation in page["Reservations"] for one in reservation["Instances"]]
        except (BotoCoreError, ClientError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
            said = str(error).rstrip(".")
            self.fail_aws(f"EC2 in {self.region} did not tell which machines there are: {said}. {NEXT.get(code, '')}")
