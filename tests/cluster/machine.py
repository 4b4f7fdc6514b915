"""What a machine must have for hosts made of namespaces; what ended tests have left on it, and its removal.

Everything that `Hosts` makes carries one name, `kmask-hosts-PID-START-...`, with the id and the start time of the
process that made it: who finds something of that name knows whether its owner still lives.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PREFIX = "kmask-hosts-"
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
HOST_TOOLS = {
    **{"ip": "iproute2", "tc": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "setpriv": "util-linux"},
    **{"sshd": "openssh-server", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "pdsh": "pdsh"},
    "iptables": "iptables",
}
SLURM_TOOLS = {
    **{"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "srun": "slurm-wlm", "sbatch": "slurm-wlm"},
    **{"munged": "munge", "scancel": "slurm-wlm", "scontrol": "slurm-wlm"},
}
TRIAL = "ip link add trial type bridge && ip link add left type veth peer name right && mount -t tmpfs trial /mnt"


def tool(name: str) -> str:
    """Where a program lies, or ""."""
    return shutil.which(name, path=SEARCHED) or ""


def why_no_hosts() -> str:
    """Why hosts cannot be made here, or ""."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "hosts of namespaces need root"
    if lacking := why_not_installed(HOST_TOOLS):
        return lacking
    tried = subprocess.run(
        [tool("unshare"), "--net", "--uts", "--ipc", "--pid", "--mount", "--fork", "--mount-proc", "sh", "-ec", TRIAL],
        env={"PATH": SEARCHED},
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        last = tried.stderr.strip().splitlines()[-1:] or [f"code {tried.returncode}"]
        return f"this kernel or container allows no namespaces with bridge, veth and mounts: {last[0]}"
    return ""


def why_no_slurm() -> str:
    """Why Slurm cannot run in hosts here, or ""."""
    return why_no_hosts() or why_not_installed(SLURM_TOOLS)


def why_not_installed(tools: dict[str, str]) -> str:
    """Which programs are lacking and what to install for them, or ""."""
    lacking = [name for name in tools if not tool(name)]
    packages = " ".join(sorted({tools[name] for name in lacking}))
    return f"no {', '.join(lacking)}: apt-get install --no-install-recommends {packages}" if lacking else ""


def new_folder() -> Path:
    """A temporary folder of this process, for the disks of its hosts."""
    pid = os.getpid()
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{pid}-{start_time(pid)}-"))


def start_time(pid: int) -> int:
    """When a process began, in ticks since the machine started; 0 when there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def remove_leftovers() -> None:
    """Remove what processes that are gone have left: folders, CPU groups and whatever still runs in these."""
    found = [*CPU_GROUPS.glob(f"{PREFIX}*"), *Path(tempfile.gettempdir()).glob(f"{PREFIX}*")]
    for path in found:
        pid, start, _ = path.name.removeprefix(PREFIX).split("-", 2)
        if start_time(int(pid)) != int(start):
            remove_groups(path) if path.parent == CPU_GROUPS else shutil.rmtree(path, ignore_errors=True)


def remove_groups(folder: Path, patience: float = 5) -> None:
    """End what runs in the CPU groups under ``folder`` and remove them; wait ``patience`` seconds for the ends."""
    deadline = time.monotonic() + patience
    for group in [*folder.glob("*/"), folder]:
        while group.exists():
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            try:
                group.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
