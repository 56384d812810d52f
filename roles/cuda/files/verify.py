"""Ask what a machine's GPUs are good for: the driver, the toolkit, and MXNet. Changes nothing, prints JSON.

Argument: JSON with `gpus`, the names of the GPUs on the bus; `driver`, the version that the kernel has loaded;
`running`, that kernel; `built`, the kernels that have the driver's module; and `python`, the Python that has MXNet, or
"" for none.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

NVCC = "/usr/local/cuda/bin/nvcc", "nvcc"
# A line of its own, as libraries may print others.
ASK_MXNET = "import json, mxnet; print('\\n' + json.dumps([mxnet.__version__, mxnet.context.num_gpus()]))"


def run(*command: str) -> tuple[bool, str]:
    """Whether a command ended well, and what it printed."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    except OSError as error:
        return False, str(error)
    except subprocess.TimeoutExpired:
        return False, "no answer within 120 s"
    return done.returncode == 0, done.stdout.strip()


def last_line(text: str) -> str:
    return text.splitlines()[-1] if text else "it said nothing"


def toolkit() -> str:
    """Version of the CUDA toolkit, empty if there is none."""
    for nvcc in NVCC:
        if found := re.search(r"release (\d+\.\d+)", run(nvcc, "--version")[1]):
            return found[1]
    return ""


def driver_complaints(gpus: list[str], driver: str, running: str, built: list[str]) -> list[str]:
    if not driver and running not in built:
        return [f"The driver's module is not built for the running kernel {running}: run the cuda role again."]
    if not driver:
        return ["The driver is not loaded: run the cuda role again; sudo dmesg | grep -i nvrm may say why."]
    _, said = run("nvidia-smi", "-L")
    if (answering := said.count("UUID")) < len(gpus):
        return [f"Of {len(gpus)} GPUs {answering} answer the driver ({last_line(said)}): restart the machine."]
    return []


def mxnet(python: str, gpus: list[str]) -> tuple[str, list[str]]:
    """What MXNet sees, in a few words; and what is wrong with that."""
    well, said = run(python, "-I", "-c", ASK_MXNET)
    if not well:
        return "no MXNet", [f"MXNet cannot be imported by {python}: {last_line(said)}."]
    version, seen = json.loads(last_line(said))
    if not gpus:
        return f"MXNet {version} on the CPU", []
    words = f"MXNet {version} sees {seen} GPU{'' if seen == 1 else 's'}"
    if seen >= len(gpus):
        return words, []
    return words, [
        f"MXNet {version} sees {seen} of {len(gpus)} GPUs, and would run on the CPU without a word: mend the driver if "
        "that is at fault, then have gluon_env install the GPU build (run configure.yml again)."
    ]


def verify(gpus: list[str], driver: str, running: str, built: list[str], python: str) -> dict[str, object]:
    kinds = [f"{gpus.count(name)} {name}" if gpus.count(name) > 1 else name for name in dict.fromkeys(gpus)]
    parts, complaints = [" and ".join(kinds) or "no GPU"], []
    if gpus:
        parts.append(f"driver {driver}" if driver else "no driver")
        complaints += driver_complaints(gpus, driver, running, built)
    version = toolkit()
    if gpus or version:
        parts.append(f"CUDA toolkit {version}" if version else "no CUDA toolkit")
    if python:
        words, wrong = mxnet(python, gpus)
        parts.append(words)
        complaints += wrong
    return {"line": ", ".join(parts), "complaints": complaints}


if __name__ == "__main__":
    print(json.dumps(verify(**json.loads(sys.argv[1]))))
