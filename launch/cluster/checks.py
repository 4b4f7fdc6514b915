"""Machines looked at before a run begins: each in parallel, in seconds, and every trouble with what to do about it.

survey(cluster, asked)   ->  what each machine says (probe.py), or why it says nothing
problems(found, ...)     ->  ["b: its own name means 127.0.1.1 to it, ...", ...]: none, and the run may begin
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from launch.backends import PORT
from launch.cluster.probe import TOKEN
from launch.shell.formatting import byte_size
from launch.shell.remote import on_all, ssh, within

SECONDS = 45.0
LEAST_FREE = 1 << 30
SKEW_SECONDS = 5.0
REACH_SECONDS = 8.0


class Machine(NamedTuple):
    """What one machine said, and why it said nothing."""

    name: str
    found: dict[str, Any]
    trouble: str


class Asked(NamedTuple):
    """What a run needs from its machines."""

    output: Path
    files: Sequence[str]
    """Configuration files."""
    data: Sequence[str]
    """Prepared folders."""
    interface: str
    python: str
    folder: str
    ssh: Sequence[str]
    port: int = PORT
    """Where processes will meet, as far as that is known."""

    def over(self, module: str, value: Any) -> list[str]:
        """A module of ours on a machine, with ``value`` as its argument."""
        return within(self.folder, [self.python, "-m", f"launch.cluster.{module}", json.dumps(value)])


def survey(hosts: Sequence[str], asked: Asked) -> list[Machine]:
    """Ask every machine at once. A token is written into the run's folder here and read there."""
    token, new = secrets.token_hex(8), not asked.output.exists()
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / TOKEN).write_text(token, encoding="utf-8")
    value = {
        "output": str(asked.output.absolute()),
        "files": list(asked.files),
        "data": list(asked.data),
        "interface": asked.interface,
    }
    begun = time.time()
    try:
        done = on_all({host: ssh(host, asked.over("probe", value), asked.ssh) for host in hosts}, SECONDS)
    finally:
        (asked.output / TOKEN).unlink(missing_ok=True)
        if new:
            asked.output.rmdir()
    return [answer(host, result, token, begun, asked) for host, result in done.items()]


def answer(host: str, done: subprocess.CompletedProcess[str], token: str, begun: float, asked: Asked) -> Machine:
    """What one machine said."""
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        said = (done.stderr.strip() or done.stdout.strip() or f"code {done.returncode}").splitlines()[-1]
        if done.returncode == 255:
            return Machine(
                host, {}, f"not reached over ssh ({said}): try `ssh {host} true` by hand, without a password"
            )
        return Machine(host, {}, f"{asked.python} in {asked.folder} does not run there ({said}): the same paths needed")
    found["shared"] = found.pop("token") == token
    found["skew"] = max(begun - found["time"], found["time"] - time.time(), 0.0)
    return Machine(host, found, "")


def problems(machines: Sequence[Machine], asked: Asked) -> Iterator[str]:
    """Everything that would keep a run from beginning, each with its machine and a remedy."""
    usual = {key: most(machine.found.get(key) for machine in machines if machine.found) for key in ("python", "code")}
    packages = most(machine.found.get("packages") for machine in machines if machine.found)
    for machine in machines:
        if machine.trouble:
            yield f"{machine.name}: {machine.trouble}"
            continue
        yield from (f"{machine.name}: {text}" for text in own_problems(machine, asked))
        yield from (f"{machine.name}: {text}" for text in differences(machine, usual, packages or {}, machines, asked))


def own_problems(machine: Machine, asked: Asked) -> Iterator[str]:
    """What one machine lacks by itself."""
    found = machine.found
    if not asked.interface and (not found["own_addresses"] or all(loopback(item) for item in found["own_addresses"])):
        told = ", ".join(found["own_addresses"]) or "nothing"
        yield (
            f"its own name {found['host']} means {told} to it, where no other machine reaches it; correct /etc/hosts "
            "there, or set `interface` in the cluster file"
        )
    if not found["interface"]:
        yield f"it has no network interface {asked.interface}; `ip -brief address` there lists them"
    if not found["shared"]:
        yield f"it does not see what is written into {asked.output} here; the run's folder must be on a shared disk"
    if found["free"] < LEAST_FREE:
        yield f"{byte_size(found['free'])} are free where {asked.output} lies"
    if found["skew"] > SKEW_SECONDS:
        yield f"its clock is {found['skew']:.0f} s away from this one; start a time service there"
    for name, version in found["packages"].items():
        if version == "missing":
            yield f"package {name} is missing in {asked.python}"


def differences(
    machine: Machine,
    usual: Mapping[str, Any],
    packages: Mapping[str, str],
    machines: Sequence[Machine],
    asked: Asked,
) -> Iterator[str]:
    """Where one machine differs from most."""
    found = machine.found
    for key, told in (("python", "Python"), ("code", "code of kmask")):
        if found[key] != usual[key]:
            yield f"{told} is {found[key]}, elsewhere {usual[key]}; install the same everywhere"
    for name, version in found["packages"].items():
        if version != packages.get(name) and "missing" not in (version, packages.get(name)):
            yield f"{name} is {version}, elsewhere {packages.get(name)}; install the same everywhere"
    for kind, names, remedy in (
        ("files", asked.files, "the configuration must be the same file everywhere"),
        ("data", asked.data, "copy or share the prepared folder; `kmask prepare` makes it"),
    ):
        for name in names:
            most_have = most(other.found[kind].get(name) for other in machines if other.found)
            if not found[kind].get(name):
                yield f"{name} is not there; {remedy}"
            elif found[kind][name] != most_have:
                yield f"{name} is another one than elsewhere ({found[kind][name]}, not {most_have}); {remedy}"


def connections(machines: Sequence[Machine], asked: Asked) -> Iterator[str]:
    """Pairs of machines of which one cannot open a connection to the other; all are tried at once."""
    names = [machine.name for machine in machines if machine.found]
    value = {"port": asked.port, "peers": names, "seconds": REACH_SECONDS}
    done = on_all({name: ssh(name, asked.over("reach", value), asked.ssh) for name in names}, SECONDS)
    for name, result in done.items():
        try:
            found = json.loads(result.stdout.strip().splitlines()[-1])
        except (ValueError, IndexError):
            yield f"{name}: it could not try to connect to the others ({result.stderr.strip() or 'no answer'})"
            continue
        for peer, why in found.items():
            if why and not peer:
                yield f"{name}: {why}; name another `port` in the cluster file"
            elif why:
                yield (
                    f"{name}: no connection to {peer}, port {asked.port} ({why}); is a firewall between them, or does "
                    f"{peer} mean another address there?"
                )


def most(values: Iterator[Any]) -> Any:
    """The value that comes most often, the first of equals."""
    texts = [json.dumps(value, sort_keys=True) for value in values]
    return json.loads(Counter(texts).most_common(1)[0][0]) if texts else None


def loopback(address: str) -> bool:
    """An address that means the machine itself."""
    return address.startswith("127.") or address == "::1"


def table(machines: Sequence[Machine]) -> Iterator[str]:
    """One line a machine."""
    yield f"{'machine':16} {'own address':16} {'cores':>5} {'GPUs':>4} {'free':>9} {'clock':>7} {'code':12} shared"
    for machine in machines:
        found = machine.found
        if machine.trouble:
            yield f"{machine.name:16} not reached"
            continue
        address = next(iter(found["own_addresses"]), "none")
        shared = "yes" if found["shared"] else "NO"
        yield (
            f"{machine.name:16} {address:16} {found['cores']:5d} {len(found['gpus']):4d} {byte_size(found['free']):>9} "
            f"{found['skew']:6.1f}s {found['code']:12} {shared}"
        )
