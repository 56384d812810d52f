"""Two operators launch the same machine at the same moment: FAULTS D8."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT, Cloud


class TestTwoAtOnce:
    """In two processes: modules read their arguments from one place."""

    def test_the_same_wish_makes_one_machine(self, cloud: Cloud) -> None:
        cloud.control.slow("RunInstances", 2)
        self.both(cloud, ["tester", "tester"])
        assert len(cloud.instances()) == 1

    def test_of_two_wishes_the_older_machine_stays_and_the_loser_says_whose_it_is(self, cloud: Cloud) -> None:
        cloud.control.slow("RunInstances", 2)
        told = self.both(cloud, ["ann", "ben"])
        (machine,) = cloud.instances()
        owner = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}["Owner"]
        (loser,) = [text for text in told if "Another run launched reader" in text]
        assert f"{machine['InstanceId']} of {owner} is used" in loser

    def both(self, cloud: Cloud, owners: list[str]) -> list[str]:
        """Run the module for `reader` twice at the same moment, as these owners; what each printed."""
        cloud.key()
        code = (
            "import sys; sys.path[:0] = [{here!r}, {root!r}]; from conftest import Cloud; from pathlib import Path;"
            "from local_ec2.control import Control; cloud = Cloud({endpoint!r}, {project!r}, Path('.'), "
            "Control({endpoint!r})); print('ready', flush=True); sys.stdin.readline(); "
            "print(cloud.machines('reader', tags={{'Owner': {owner!r}}}))"
        )
        where = {"here": str(Path(__file__).parent), "root": str(ROOT)}
        which = {"endpoint": cloud.endpoint, "project": cloud.project}
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", code.format(owner=owner, **where, **which)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for owner in owners
        ]
        # Python takes longer to begin on a busy computer than EC2 is slow.
        for run in runs:
            assert run.stdout and run.stdout.readline() == "ready\n"
        for run in runs:
            assert run.stdin
            run.stdin.write("\n")
            run.stdin.flush()
        return [run.communicate(timeout=120)[0] for run in runs]
