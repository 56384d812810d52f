"""Two operators launch the same machine at the same moment: FAULTS D8."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from conftest import ROOT, Cloud


class TestTwoAtOnce:
    """In two processes: modules read their arguments from one place."""

    def test_the_same_wish_makes_one_machine(self, cloud: Cloud) -> None:
        cloud.control.slow("RunInstances", 1)
        self.both(cloud, ["tester", "tester"])
        assert len(cloud.instances()) == 1

    def test_of_two_wishes_the_older_machine_stays_and_the_loser_says_whose_it_is(self, cloud: Cloud) -> None:
        cloud.control.slow("RunInstances", 1)
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
            "from local_ec2.control import Control;"
            "print(Cloud({endpoint!r}, {project!r}, Path('.'), Control({endpoint!r})).machines('reader', "
            "tags={{'Owner': {owner!r}}}))"
        )
        here = str(Path(__file__).parent)
        told: list[str] = []

        def run(owner: str) -> None:
            text = code.format(
                here=here,
                root=str(ROOT),
                endpoint=cloud.endpoint,
                project=cloud.project,
                owner=owner,
            )
            done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
            told.append(done.stdout + done.stderr)

        threads = [threading.Thread(target=run, args=(owner,)) for owner in owners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return told
