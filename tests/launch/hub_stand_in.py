"""A stand-in of the Hugging Face hub on this machine: repositories, large files by their sha256, one commit at a time."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """What it holds, and what it has been asked."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.large: dict[str, bytes] = {}
        self.commits = 0
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.breaks: dict[str, int] = {}
        """Beginnings of requests that are cut in the middle, and how many times."""
        self.token = "hf_secret"
        self.endpoint = ""

    def breaking(self, request: str) -> bool:
        """Is this request one to be cut?"""
        for begin in self.breaks:
            if request.startswith(begin) and self.breaks[begin]:
                self.breaks[begin] -= 1
                return True
        return False


def answer(hub: Hub, method: str, path: str, body: bytes) -> tuple[int, Any]:
    """Status and JSON."""
    parts = path.split("?")[0].strip("/").split("/")
    if method == "POST" and path == "/api/repos/create":
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        hub.repositories.setdefault(name, {})
        return 200, {"url": f"{hub.endpoint}/{name}"}
    if path == "/api/validate-yaml":
        return 200, {"warnings": [], "errors": []}
    if method == "PUT":
        hub.large[parts[-1]] = body
        return 200, {}
    if "info" in parts:
        missing = [item for item in json.loads(body)["objects"] if item["oid"] not in hub.large]
        upload = [
            {**item, "actions": {"upload": {"href": f"{hub.endpoint}/large/{item['oid']}?signature=x"}}}
            for item in missing
        ]
        return 200, {"transfer": "basic", "objects": upload}
    name, kind = "/".join(parts[2:4]), parts[4] if len(parts) > 4 else ""
    if name not in hub.repositories:
        return 404, {"error": "Repository not found"}
    files = hub.repositories[name]
    if kind == "tree":
        return 200, [entry(hub, path, content) for path, content in files.items()]
    if kind == "preupload":
        listed = [item["path"] for item in json.loads(body)["files"]]
        return 200, {
            "files": [{"path": path, "uploadMode": mode(path), "shouldIgnore": False, "oid": None} for path in listed]
        }
    if kind == "commit":
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.large[value["oid"]]
        hub.commits += 1
        return 200, {"commitUrl": f"{hub.endpoint}/{name}/commit/{hub.commits}", "commitOid": "0" * 40, "success": True}
    return 200, {"id": name, "sha": "0" * 40}


def mode(path: str) -> str:
    return "lfs" if path.endswith(".safetensors") else "regular"


def entry(hub: Hub, path: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    found = {"type": "file", "path": path, "size": len(content), "oid": blob}
    digest = hashlib.sha256(content).hexdigest()
    large = {"lfs": {"oid": digest, "size": len(content), "pointerSize": 9}}
    return {**found, **(large if mode(path) == "lfs" else {})}


@contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Its address, while it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            size, request = int(self.headers.get("Content-Length") or 0), f"{self.command} {self.path}"
            hub.asked.append(request)
            given = self.headers.get("Authorization", "")
            if hub.breaking(request):
                self.rfile.read(size // 2)
                self.connection.close()
                self.close_connection = True
                return
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while length := int(self.rfile.readline(), 16):
                    body += self.rfile.read(length)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(size)
            known = self.command == "PUT" or given == f"Bearer {hub.token}"
            status, value = answer(hub, self.command, self.path, body) if known else (401, {"error": "no"})
            content = json.dumps(value).encode()
            self.send_response(status)
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub.endpoint
    finally:
        server.shutdown()
        server.server_close()
