"""The quick look at all machines before a run begins on them, and the same for `kmask doctor --cluster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch.backends import Backend
from launch.backends.local import free_port
from launch.cluster.checks import Asked, Machine, connections, problems, survey


def look(backend: Backend, file: Path | None, settings: Any) -> tuple[list[Machine], list[str]]:
    """What the machines of a backend say, and what keeps the run from beginning; nothing where it reaches none itself.

    Args:
        file: the run's configuration, and ``settings`` what it says; None for the machines alone.
    """
    hosts = backend.machines()
    if not hosts:
        return [], []
    value = settings if isinstance(settings, dict) else {}
    data = value.get("data") if isinstance(value.get("data"), list) else []
    paths = [item["path"] for item in data or [] if isinstance(item, dict) and isinstance(item.get("path"), str)]
    asked = Asked(
        output=Path(str(value.get("output", ".kmask-doctor"))).absolute(),
        files=[str(file.absolute())] if file else [],
        data=[str(Path(path).absolute()) for path in paths],
        interface=backend.interface,
        python=backend.interpreter(),
        folder=backend.workplace(),
        ssh=getattr(backend, "ssh", []),
        port=getattr(backend, "port", 0) or free_port(),
    )
    found = survey(hosts, asked)
    told = list(problems(found, asked))
    return found, told or list(connections(found, asked))


def check(backend: Backend, file: Path, settings: Any) -> None:
    """Refuse a run that could not begin.

    Raises:
        ValueError: one line for each trouble.
    """
    from pretrain.processes.stopping import asked

    _, told = look(backend, file, settings)
    if told and not asked():
        raise ValueError(
            "the machines are not ready, so nothing was started:\n" + "\n".join(f"  {line}" for line in told)
        )
