"""What a node can do, printed as one JSON object: run on a node by itself, with nothing imported.

It is started by its path, so that a node which lacks half of everything still tells the rest.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

SECONDS = 8.0


def main(folder: Path, url: str, names: list[str]) -> None:
    facts = {
        "host": socket.gethostname(),
        "python": sys.version.split()[0],
        "seconds": time.time(),
        "unresolved": [name for name in [socket.gethostname(), *names] if not resolves(name)],
        "internet": internet(url),
        "driver": driver(),
        "torch": torch(),
        "home_writable": os.access(Path.home(), os.W_OK),
    }
    temporary = folder / ".probe.json"
    temporary.write_text(json.dumps(facts))
    temporary.replace(folder / "probe.json")


def resolves(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


def internet(url: str) -> str:
    """Return '' when a web server answers, whatever it says, else what went wrong."""
    try:
        urllib.request.urlopen(url, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        return ""
    except OSError as error:
        return str(error)
    return ""


def driver() -> dict[str, str]:
    """Return the NVIDIA driver, the newest CUDA that it knows, and the GPU; {} without one."""
    if shutil.which("nvidia-smi") is None:
        return {}
    asked = ["nvidia-smi", "--query-gpu=driver_version,name,memory.total", "--format=csv,noheader"]
    shown = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    if shown.returncode != 0:
        return {"trouble": (shown.stdout + shown.stderr).strip()[:300]}
    version, name, memory = [*shown.stdout.splitlines()[0].split(", "), "", ""][:3]
    head = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=60).stdout
    newest = head.partition("CUDA Version:")[2].split()
    cuda = newest[0] if newest else ""
    return {"version": version, "gpu": name, "memory": memory, "cuda": cuda}


def torch() -> dict[str, str]:
    """Return torch's version, the CUDA that it was built for, and what keeps it from a GPU."""
    try:
        import torch as found
    except Exception as error:
        return {"trouble": f"torch cannot be imported: {error}"}
    facts = {"version": str(found.__version__), "cuda": str(found.version.cuda or "")}
    try:
        if found.version.cuda:
            facts["gpu"] = str(found.zeros(1, device="cuda").device)
    except Exception as error:
        facts["trouble"] = str(error).splitlines()[0]
    return facts


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
