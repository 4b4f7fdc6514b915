"""`kmask push`: a verified export to a repository on the Hugging Face hub, or on a mirror of it.

    sealed_files(folder)      every file is as `kmask export` verified it
    the repository's list     what it holds already, by hash
    one commit                what is missing there or differs

It may break off anywhere and is then simply run again: the repository changes by one commit or not at all, and large
files that have arrived are not sent again (the hub knows them by their sha256). The token is the hub's own affair
(HF_TOKEN, `hf auth login`); it is neither read nor shown here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from launch.outcomes.saved_runs import tell
from launch.shell.exit_codes import DONE

REFUSED = (401, 403)


def run_push(folder: Path, repo: str, endpoint: str, private: bool, as_json: bool, dry_run: bool) -> int:
    """Upload what the repository lacks of an export.

    Raises:
        ValueError: the folder is no verified export, the token may not write, or the connection broke off.
    """
    from pretrain.state.sealing import sealed_files

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder (looked from {Path.cwd()})")
    files = sealed_files(folder)
    others = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if others := [name for name in others if name not in files]:
        tell(f"not part of the export, so not uploaded: {', '.join(others[:5])}")
    with contextlib.redirect_stdout(sys.stderr):
        result = _pushed(folder, files, repo, endpoint, private, dry_run)
    if as_json:
        print(json.dumps(result, ensure_ascii=False))
    else:
        sent, kept = (len(result[name]) for name in ("uploaded", "kept"))
        listed, commit = ", ".join(result["uploaded"]) or "nothing", result["commit"] or "nothing had changed"
        if dry_run:
            print(f"would upload {sent} files to {result['repo']}: {listed}; {kept} are there")
        else:
            print(f"{result['repo']}: {sent} files uploaded, {kept} were there; {commit}")
    return DONE


def _pushed(
    folder: Path, files: Mapping[str, str], repo: str, endpoint: str, private: bool, dry_run: bool
) -> dict[str, Any]:
    from huggingface_hub import CommitOperationAdd, HfApi, constants

    api = HfApi(endpoint=endpoint or None, library_name="kmask")
    if endpoint:
        constants.HF_HUB_DISABLE_XET = True  # mirrors speak the older protocol
    with readable(api.endpoint, repo):
        there = _hashes(api, repo)
        lacking = [name for name in files if there is None or there.get(name) not in _names(folder / name, files[name])]
        result = {"repo": repo, "endpoint": api.endpoint, "uploaded": lacking, "commit": None}
        result |= {"kept": [name for name in files if name not in lacking]}
        if dry_run or not lacking:
            return result
        if there is None:
            api.create_repo(repo, private=private, exist_ok=True)
        added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(folder / name)) for name in lacking]
        commit = api.create_commit(repo, added, commit_message="Export of kmask")
        return {**result, "commit": str(commit.commit_url)}


def _hashes(api: Any, repo: str) -> dict[str, str] | None:
    """Files of the repository: sha256 of large ones, git's name of others; None: there is no such repository."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.hf_api import RepoFile

    try:
        found = list(api.list_repo_tree(repo, recursive=True))
    except RevisionNotFoundError:
        return {}
    except RepositoryNotFoundError:
        return None
    return {item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in found if isinstance(item, RepoFile)}


def _names(file: Path, digest: str) -> tuple[str, str]:
    """What the hub may know a file by: its sha256, or git's name of its content."""
    sha = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as handle:
        while block := handle.read(1 << 20):
            sha.update(block)
    return digest, sha.hexdigest()


@contextlib.contextmanager
def readable(endpoint: str, repo: str) -> Iterator[None]:
    """Errors of the hub as one message that says what to do. Signed addresses, which let anybody upload, lose their
    signature, so its library does not tell of its retries."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import logging

    broken = next(item for item in HfHubHTTPError.__mro__ if item.__name__ == "HTTPError")  # httpx or httpx2
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except OfflineModeIsEnabled:
        raise ValueError("HF_HUB_OFFLINE is set: nothing can be uploaded; unset it") from None
    except (broken, OSError, RuntimeError) as wrapped:  # the last: of a file on its way
        error = wrapped.__cause__ if isinstance(wrapped, RuntimeError) and wrapped.__cause__ else wrapped
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in REFUSED:
            raise ValueError(
                f"{endpoint} refuses to write to {repo} ({status}): log in with `hf auth login`, or set HF_TOKEN to a "
                "token that may write there"
            ) from None
        reason = re.sub(r"\?\S+", "?...", str(error).strip().partition("\n")[0]) or type(error).__name__
        raise ValueError(
            f"the upload to {endpoint}/{repo} broke off ({reason}); run the same command again: what has arrived is "
            "not sent again"
        ) from None
    finally:
        logging.set_verbosity(verbosity)
