"""What each backend would start, and that nothing of a cluster file or hostfile reaches a shell as anything but itself."""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launch.backends import Backend, Start
from launch.backends import hostfile as hostfiles
from launch.backends.hostfile import Hostfile
from launch.backends.kubernetes import Kubernetes
from launch.backends.slurm import Slurm
from launch.backends.torchrun import Torchrun
from launch.cluster import preparation
from launch.processes.rank import adopt_slurm, local_processes
from launch.settings.components import decode
from launch.settings.yaml_files import ConfigError, Source
from launch.shell.remote import on_all, ssh

HOSTILE = [
    "a b",
    "$(touch hit)",
    "`touch hit`",
    "x; touch hit",
    "it's",
    '"quoted"',
    "-oProxyCommand=touch hit",
    "*",
    "&&",
]


def backend(**values: Any) -> Backend:
    return decode(Backend, Source(values, {}))  # type: ignore[type-abstract]


def start(output: Path = Path("/shared/run"), *arguments: str) -> Start:
    return Start(["train", "run.yaml", *arguments], output, output / "attempts/0001-x")


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    file = tmp_path / "hosts.txt"
    file.write_text("node-1 slots=8\nnode-2 slots=8 # the other\n\n")
    return file


def test_arguments_pass_a_remote_shell_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last word of ssh's command is what a shell on the other side reads."""
    monkeypatch.chdir(tmp_path)
    argv = ssh("node", [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))", *HOSTILE])
    assert argv[-3:-1] == ["--", "node"]
    done = subprocess.run(["sh", "-c", argv[-1]], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == HOSTILE and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["-oProxyCommand=x", "a b", "a;b", "a$(b)", "a`b`", "a'b", "*", "a,b"])
def test_hostile_names_of_hosts_are_refused_with_their_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(f"good slots=1\n{name} slots=1\n")
    with pytest.raises(ValueError, match=r"hosts:2: .*write `name slots=N`"):
        Hostfile(path=str(tmp_path / "hosts")).hosts()


def test_over_ssh_every_machine_starts_its_part_by_number(hosts: Path) -> None:
    found = Hostfile(path=str(hosts), launcher="ssh", folder="/with blank", processes_per_host=2, ssh=["-p", "2222"])
    one, two = found.commands(start())
    for number, command in enumerate((one, two)):
        assert command.argv[:2] == ["ssh", "-o"] and command.argv[-5:-1] == ["-p", "2222", "--", f"node-{number + 1}"]
        words = shlex.split(command.argv[-1])
        assert words[:4] == ["sh", "-c", 'cd "$0" && exec "$@"', "/with blank"]
        assert words[words.index("--node_rank") + 1] == str(number)
        assert words[-2:] == ["launch.processes.enter", "/shared/run/attempts/0001-x"]
        (told,) = (word for word in words if word.startswith("--world_info="))
        world = json.loads(base64.urlsafe_b64decode(told.partition("=")[2]))
        assert world == {"node-1": [0, 1], "node-2": [0, 1]}
    assert found.world() == (4, 0) and found.watched(start()) == 4


def test_starts_meet_at_ports_of_their_own(hosts: Path) -> None:
    found, name = Hostfile(path=str(hosts), launcher="ssh"), "attempts/0001-%06x"
    ports = {found.port_of(start()._replace(folder=Path("/run") / (name % number))) for number in range(200)}
    assert len(ports) == 200 and all(20000 <= port < 30000 for port in ports)
    assert Hostfile(path=str(hosts), launcher="none").port_of(start()) == 29500
    assert Hostfile(path=str(hosts), port=1234).port_of(start()) == 1234


def test_hosts_that_are_left_out_are_not_started(hosts: Path) -> None:
    found = Hostfile(path=str(hosts), launcher="ssh", min_hosts=1)
    without = start()._replace(left_out=("node-1",))
    (command,) = found.commands(without)
    assert "node-2" in command.argv and found.watched(without) == 8
    assert found.enough(["node-1"]) and not found.enough(["node-1", "node-2"])
    assert not Hostfile(path=str(hosts)).enough(["node-1"]) and Hostfile(path=str(hosts)).enough([])


def test_over_pdsh_what_its_shell_would_read_is_refused_and_unsafe_variables_stay(
    hosts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (command,) = Hostfile(path=str(hosts)).commands(start())
    assert command.argv[1:3] == ["-m", "deepspeed.launcher.runner"] and "--no_ssh_check" in command.argv
    for key, value in (("python", "/py thon"), ("folder", "/a;b")):
        with pytest.raises(ValueError, match=f"{key}.*launcher: ssh"):
            Hostfile(path=str(hosts), **{key: value}).commands(start())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"output.*launcher: ssh"):
        Hostfile(path=str(hosts)).commands(start(Path("/run $(x)")))
    assert hostfiles.unsafe("PYTHONPATH", "/a b") and hostfiles.unsafe("NCCL_X", "$(x)")
    assert hostfiles.unsafe("MLFLOW_TRACKING_TOKEN", "plain")  # DeepSpeed would write it into ps and its log
    assert not hostfiles.unsafe("PYTHONPATH", "/a:/b") and not hostfiles.unsafe("HOME", "/a b")


@pytest.mark.parametrize("variable", ["KMASK_NODE_RANK", "NODE_RANK", "JOB_COMPLETION_INDEX"])
def test_without_ssh_each_machine_knows_its_number(variable: str, hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Hostfile(path=str(hosts), launcher="none")
    for name in ("KMASK_NODE_RANK", "NODE_RANK", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="node_rank: not given; give this machine's number, from 0 to 1"):
        found.commands(start())
    monkeypatch.setenv(variable, "1")
    (command,) = found.commands(start())
    assert command.argv[command.argv.index("--node_rank") + 1] == "1"
    assert Hostfile(path=str(hosts), launcher="none", node_rank=0).place() == 0
    monkeypatch.setattr("socket.gethostname", lambda: "node-1.example.org")
    monkeypatch.delenv(variable)
    assert found.place() == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "local", "environment": {"WANDB_API_KEY": "x"}}, "looks like a secret.*environment_file"),
        ({"kind": "local", "environment": {"HF_TOKEN": "x"}}, "looks like a secret"),
        ({"kind": "local", "environment": {"AWS_SECRET_ACCESS": "x"}}, "looks like a secret"),
        ({"kind": "local", "environment": {"A B": "x"}}, "no name of a variable"),
        ({"kind": "local", "interface": "eth0; rm"}, "no name of a network interface"),
        ({"kind": "local", "max_restarts": -1}, "must not be negative"),
        ({"kind": "local", "quiet_seconds": 0}, "must be positive"),
        ({"kind": "hostfile", "path": "x", "launcher": "slurm"}, "kind: slurm"),
        ({"kind": "hostfile", "path": "x", "master_address": "x;touch${IFS}hit;"}, "is no address"),
        ({"kind": "local", "environment": {"MYSQL_PWD": "x"}}, "looks like a secret"),
        ({"kind": "local", "environment": {"SSH_PASSPHRASE": "x"}}, "looks like a secret"),
        ({"kind": "hostfile", "path": "x", "ssh": ["-o ProxyCommand=x"]}, "characters that a shell reads"),
        ({"kind": "torchrun", "hosts": "2:4"}, "with rendezvous static"),
        ({"kind": "torchrun", "hosts": "4:2", "rendezvous": "c10d"}, "hosts"),
        ({"kind": "torchrun", "hosts": "many"}, "write a number, or least:most"),
        ({"kind": "torchrun", "address": "a b"}, "write host or host:port"),
        ({"kind": "torchrun", "rendezvous": "etcd"}, "neither static nor c10d"),
        ({"kind": "slurm", "processes_per_host": 8, "partition": "a\nb"}, "no place there"),
        ({"kind": "slurm", "processes_per_host": 8, "options": ["--qos=a\nrm -rf"]}, "no option of sbatch"),
        ({"kind": "slurm", "processes_per_host": 0}, "at least 1"),
        ({"kind": "kubernetes", "image": "i", "claim": "C", "mount": "/d", "processes_per_host": 1}, "no name for"),
        ({"kind": "kubernetes", "image": "i", "claim": "c", "mount": "d", "processes_per_host": 1}, "absolute path"),
        (
            {"kind": "kubernetes", "image": "i", "claim": "c", "mount": "/d", "processes_per_host": 1, "flavour": "x"},
            "neither job nor pytorchjob",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_key_and_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=f"(?s).*{message}"):
        backend(**values)


def test_an_interface_is_set_for_both_libraries() -> None:
    found = backend(
        kind="local", interface="ib0", environment={"NCCL_DEBUG": "INFO", "TOKENIZERS_CPU": "1"}
    ).variables()
    assert found["NCCL_SOCKET_IFNAME"] == found["GLOO_SOCKET_IFNAME"] == "ib0" and found["NCCL_DEBUG"] == "INFO"


def test_torchrun_meets_statically_or_whoever_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMASK_NODE_RANK", "2")
    (static,) = Torchrun(address="node-1:1234", hosts="4", processes_per_host=8).commands(start())
    text = " ".join(static.argv)
    assert "--nnodes 4 --node-rank 2 --master-addr node-1 --master-port 1234" in text
    (elastic,) = Torchrun(
        address="node-1", hosts="2:4", processes_per_host=8, rendezvous="c10d", max_restarts=3, job="mine"
    ).commands(start())
    text = " ".join(elastic.argv)
    assert "--nnodes 2:4 --rdzv-backend c10d --rdzv-endpoint node-1:29500 --rdzv-id mine --max-restarts 3" in text


def test_a_batch_script_is_what_slurm_and_a_shell_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run by a shell whose kmask is a stand-in: its arguments arrive, its code is the script's, a time limit requeues."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    output = tmp_path / "a $(touch hit) run"
    fake = tmp_path / "py thon"
    fake.write_text('#!/bin/sh\ntrap "exit 5" TERM\nprintf "%s\\n" "$@" > "$TOLD"\nsleep 30 & wait $!\nexit 3\n')
    fake.chmod(0o755)
    given = ["launch", "slurm.yaml", "run.yaml", "name=it's; `touch hit`"]
    monkeypatch.setattr(sys, "argv", ["kmask", *given])
    cluster = Slurm(nodes=2, processes_per_host=8, gpus_per_host=8, time="1-0", python=str(fake), folder=str(tmp_path))
    script = cluster.script(start(output))
    assert "#SBATCH --signal=B:USR1@120" in script and "#SBATCH --ntasks-per-node=8" in script
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/scontrol").write_text('#!/bin/sh\necho "$@" >> "$REQUEUED"\n')
    (tmp_path / "bin/scontrol").chmod(0o755)
    for number, code, requeued in (("USR1", 0, "requeue 77\n"), ("TERM", 5, None)):
        told, queue = tmp_path / f"told-{number}", tmp_path / f"queue-{number}"
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        environment = {**os.environ, "TOLD": str(told), "REQUEUED": str(queue), "SLURM_JOB_ID": "77", "PATH": path}
        process = subprocess.Popen(["bash", "-c", script], env=environment, cwd=tmp_path)
        while not told.exists() or not told.read_text():
            assert process.poll() is None
        subprocess.run(["kill", f"-{number}", str(process.pid)], check=True)
        assert process.wait(20) == code
        assert told.read_text().splitlines() == ["-m", "launch.cli", *given]
        assert (queue.read_text() if queue.exists() else None) == requeued
    assert not (tmp_path / "hit").exists()


def test_a_folder_whose_name_would_end_a_line_of_a_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ValueError, match="characters that a script cannot hold"):
        Slurm(processes_per_host=1).script(start(Path("/run\ntouch hit #")))
    with pytest.raises(ValueError, match="characters that a script cannot hold"):
        preparation.script(Slurm(processes_per_host=1), Path("a\ntouch hit"), [])


def test_within_a_job_one_task_a_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    found = Slurm(nodes=2, processes_per_host=4, cpus_per_process=8)
    (command,) = found.commands(start())
    assert command.argv[:3] == ["srun", "--nodes=2", "--ntasks-per-node=4"] and "--cpus-per-task=8" in command.argv
    assert found.watched(start()) == 8


def test_a_machine_without_slurm_or_kubectl_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "attempts/0001-x").mkdir(parents=True)
    with pytest.raises(ValueError, match="sbatch is not on this machine"):
        Slurm(processes_per_host=1).begin(start(tmp_path))
    with pytest.raises(ValueError, match="kubectl is not on this machine"):
        Kubernetes(image="i", claim="c", mount="/d", processes_per_host=1).begin(start(tmp_path))
    assert (tmp_path / "attempts/0001-x/manifest.json").is_file()


@pytest.mark.parametrize(
    ("told", "node", "expected"), [("2(x3),1", 3, 1), ("2(x3),1", 0, 2), ("8", 0, 8), ("4(x2)", 1, 4)]
)
def test_threads_are_divided_among_the_processes_of_a_node_not_of_the_job(
    told: str, node: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # so that what is set below is taken away again
        monkeypatch.delenv(name)
    slurm = {"PROCID": "3", "NTASKS": "16", "LOCALID": "1", "NODEID": str(node), "STEP_NODELIST": "gpu[03-05]"}
    for name, value in {**slurm, "STEP_TASKS_PER_NODE": told, "JOB_ID": "9", "STEP_ID": "1"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    adopt_slurm()
    first = os.environ["MASTER_PORT"]
    assert local_processes() == expected and os.environ["WORLD_SIZE"] == "16"
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("MASTER_PORT")
    monkeypatch.setenv("SLURM_STEP_ID", "2")
    adopt_slurm()
    assert os.environ["MASTER_PORT"] != first  # two steps of one job


def test_pods_get_their_commands_without_a_shell() -> None:
    arguments = ["name=$(JOB)", "it's"]
    for flavour, kinds in (("job", ["Service", "Job"]), ("pytorchjob", ["PyTorchJob"])):
        found = Kubernetes(
            image="i", claim="c", mount="/data", processes_per_host=8, hosts=2, gpus_per_host=8, flavour=flavour,
            secret="keys", max_restarts=2,
        )  # fmt: skip
        items = json.loads(found.script(start(Path("/data/run"), *arguments)))["items"]
        assert [item["kind"] for item in items] == kinds
        spec = items[-1]["spec"]
        template = spec["template"] if flavour == "job" else spec["pytorchReplicaSpecs"]["Worker"]["template"]
        (container,) = template["spec"]["containers"]
        assert container["command"][-2:] == ["name=$$(JOB)", "it's"]
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
        assert container["resources"]["limits"] == {"nvidia.com/gpu": "8"}
    assert spec["pytorchReplicaSpecs"]["Worker"]["replicas"] == 1


def test_commands_on_many_machines_run_at_once_and_have_an_end() -> None:
    code = "import sys, time; time.sleep(float(sys.argv[1])); print(sys.argv[1])"
    found = on_all({name: [sys.executable, "-c", code, name] for name in ("0.1", "0.2", "30")}, 5)
    assert [(name, done.returncode) for name, done in found.items()] == [("0.1", 0), ("0.2", 0), ("30", 255)]
    assert found["0.2"].stdout == "0.2\n" and "no answer within 5 s" in found["30"].stderr
    assert on_all({"x": ["/no/such/program"]}, 5)["x"].returncode == 255


def test_preparation_runs_on_every_machine_of_a_hostfile_or_as_an_array(hosts: Path, tmp_path: Path) -> None:
    overrides = ["name=it's; `touch hit`"]
    one, two = preparation.commands(
        Hostfile(path=str(hosts), launcher="ssh", folder="/w x"), Path("d ata.yaml"), overrides
    )
    assert (one[-2], two[-2]) == ("node-1", "node-2")
    words = shlex.split(one[-1])
    assert words[3] == "/w x" and words[-3:] == ["prepare", "d ata.yaml", *overrides]
    slurm = Slurm(nodes=3, processes_per_host=1, partition="long", options=["--qos=high"])
    text = preparation.script(slurm, Path("data.yaml"), overrides)
    assert text.startswith("#!/bin/bash\n#SBATCH --partition=long\n#SBATCH --qos=high\n") and "--array=0-2" in text
    with pytest.raises(ValueError, match="starts training alone"):
        preparation.commands(Torchrun(), Path("data.yaml"), [])
