"""Kubernetes: a manifest, applied with kubectl. The image holds kmask; data and the run's folder lie on a volume.

    flavour: job           an indexed Job and the service that gives its pods names; torchrun in each pod
    flavour: pytorchjob    a PyTorchJob of the Kubeflow training operator

Kubernetes starts pods again and tells them to end; a pod that is told to end saves first.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from launch.backends import PORT, Backend, Command, Session, Start
from launch.backends.slurm import Submitted

NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
MOUNT = re.compile(r"/[\w./-]*")


@dataclass(frozen=True, kw_only=True)
class Kubernetes(Backend):
    """A cluster under Kubernetes."""

    image: str
    """Image with kmask in it."""
    claim: str
    """Persistent volume claim with data and the run's folder."""
    mount: str
    """Where the claim is mounted in a pod; paths of the run's configuration lie under it."""
    processes_per_host: int
    """Processes in each pod: one per GPU, as a rule."""
    hosts: int = 1
    """Number of pods."""
    gpus_per_host: int = 0
    """GPUs of a pod (nvidia.com/gpu); 0 asks for none."""
    memory: str = ""
    """Memory of a pod, as `64Gi`."""
    cpus: str = ""
    """CPUs of a pod, as `16`."""
    name: str = "kmask"
    """Name of the job; another one for each run."""
    namespace: str = ""
    """Namespace; kubectl's own when empty."""
    secret: str = ""
    """Secret whose entries become variables of the pods (keys of services)."""
    flavour: str = "job"
    """`job` or `pytorchjob`."""
    grace_seconds: int = 120
    """How long a pod may take to save when it is told to end."""
    shared_memory: str = "8Gi"
    """Size of /dev/shm, which data workers and NCCL use."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("name", "claim", "namespace", "secret"):
            if (value := getattr(self, key)) and not NAME.fullmatch(value):
                raise ValueError(f"{key}: {value!r} is no name for Kubernetes (a-z, 0-9 and -, at most 52 characters)")
        if self.flavour not in ("job", "pytorchjob"):
            raise ValueError(f"flavour: {self.flavour!r} is neither job nor pytorchjob")
        for key in ("hosts", "processes_per_host"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: {getattr(self, key)} must be at least 1")
        if not MOUNT.fullmatch(self.mount):
            raise ValueError(f"mount: {self.mount!r} must be an absolute path")
        if self.environment_file:
            raise ValueError("environment_file: pods have no such file; name a Kubernetes secret in `secret`")

    def world(self) -> tuple[int, int]:
        return self.hosts * self.processes_per_host, 0

    def watched(self, start: Start) -> int:
        return 0

    def submits(self) -> bool:
        return True

    def machine_count(self) -> int:
        return self.hosts

    def where(self) -> str:
        return f"in {self.hosts} pod{'s' if self.hosts > 1 else ''}"

    def commands(self, start: Start) -> list[Command]:
        return [Command(["kubectl", "apply", "-f", str(start.folder / "manifest.json")], {})]

    def begin(self, start: Start) -> Session:
        file = start.folder / "manifest.json"
        file.write_text(self.script(start), encoding="utf-8")
        return Submitted(["kubectl", "apply", "-f", str(file)], f"kubectl logs -f job/{self.name} follows it")

    def script(self, start: Start) -> str:
        """The manifest, as JSON (which YAML includes)."""
        items = [self._pytorchjob(start)] if self.flavour == "pytorchjob" else [self._service(), self._job(start)]
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"

    def _meta(self) -> dict[str, Any]:
        return {"name": self.name, **({"namespace": self.namespace} if self.namespace else {})}

    def _service(self) -> dict[str, Any]:
        spec = {"clusterIP": "None", "selector": {"job-name": self.name}, "publishNotReadyAddresses": True}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self._meta(), "spec": spec}

    def _job(self, start: Start) -> dict[str, Any]:
        meeting = ["--node-rank=$(JOB_COMPLETION_INDEX)", f"--master-addr={self.name}-0.{self.name}"]
        spec = {
            "completions": self.hosts,
            "parallelism": self.hosts,
            "completionMode": "Indexed",
            "backoffLimit": self.max_restarts * self.hosts,
            "template": {"spec": {"subdomain": self.name, **self._pod(start, meeting)}},
        }
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": self._meta(), "spec": spec}

    def _pytorchjob(self, start: Start) -> dict[str, Any]:
        meeting = ["--node-rank=$(RANK)", "--master-addr=$(MASTER_ADDR)"]
        replica = {"restartPolicy": "OnFailure", "template": {"spec": self._pod(start, meeting)}}
        replicas: dict[str, Any] = {"Master": {"replicas": 1, **replica}}
        if self.hosts > 1:
            replicas["Worker"] = {"replicas": self.hosts - 1, **replica}
        spec = {"runPolicy": {"backoffLimit": self.max_restarts}, "pytorchReplicaSpecs": replicas}
        return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": self._meta(), "spec": spec}

    def _pod(self, start: Start, meeting: list[str]) -> dict[str, Any]:
        """One pod: torchrun, which starts a process per GPU. `$(NAME)` is filled in by Kubernetes, not by a shell."""
        argv = ["python", "-m", "torch.distributed.run", f"--nnodes={self.hosts}"]
        argv += [f"--nproc-per-node={self.processes_per_host}", *meeting, f"--master-port={PORT}"]
        wanted = {"memory": self.memory, "cpu": self.cpus, "nvidia.com/gpu": str(self.gpus_per_host or "")}
        resources = {name: value for name, value in wanted.items() if value}
        container = {
            "name": "pytorch",
            "image": self.image,
            "command": [*argv, "-m", "launch.cli", *(argument.replace("$(", "$$(") for argument in start.arguments)],
            "env": [{"name": name, "value": value.replace("$(", "$$(")} for name, value in self.variables().items()],
            **({"envFrom": [{"secretRef": {"name": self.secret}}]} if self.secret else {}),
            "resources": {"requests": resources, "limits": resources},
            "volumeMounts": [{"name": "run", "mountPath": self.mount}, {"name": "memory", "mountPath": "/dev/shm"}],
        }
        return {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": self.grace_seconds,
            "containers": [container],
            "volumes": [
                {"name": "run", "persistentVolumeClaim": {"claimName": self.claim}},
                {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": self.shared_memory}},
            ],
        }
