"""The Hugging Face Hub: files of published models, from its cache on this machine or, where asked for, downloaded.

Files are named one by one: nothing else of a repository, pickles and code least of all, comes to this machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from photovision.core.errors import ModelError, UsageError

REPO = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
"""Name of a repository, without its address."""
MIRROR = "HF_ENDPOINT"
"""The variable of the environment that names another hub, as the Hub's own client has it."""


@dataclass(frozen=True)
class HubModel:
    """What the Hub states about a published model.

    Attributes:
        repo: "owner/name".
        licence: in lower case; "unknown" where the card states none.
        revision: commit of its newest version.
        sizes: name of a file -> bytes.
    """

    repo: str
    licence: str
    revision: str
    sizes: dict[str, int]


@contextmanager
def offline(allowed: bool = False) -> Iterator[None]:
    """Let nothing reach the Hub within, unless it is allowed; statistics of use are never sent."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_DISABLE_TELEMETRY = True
    constants.HF_HUB_OFFLINE = before or not allowed
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def snapshot(repo: str, files: Sequence[str], allow_download: bool, revision: str | None = None) -> Path | None:
    """The folder with files of a repository in the Hub's cache; None where they are not there and may not be fetched.

    Raises:
        ModelError: the download failed.
    """
    from huggingface_hub import snapshot_download

    try:
        with offline(allow_download):
            found = snapshot_download(
                repo,
                allow_patterns=list(files),
                revision=revision,
                local_files_only=not allow_download,
                endpoint=os.environ.get(MIRROR),
            )
    except Exception as error:  # errors of its own, of its HTTP library, or of the disk
        if allow_download:
            raise _failed(repo, error) from None
        return None
    return Path(found)


def published(repo: str) -> HubModel:
    """Ask the Hub what a repository holds; uses the network.

    Raises:
        UsageError: there is no such repository, or it is not open to everybody.
        ModelError: the Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        with offline(allowed=True):
            info = HfApi(os.environ.get(MIRROR)).model_info(repo, files_metadata=True)
    except RepositoryNotFoundError:
        raise UsageError(f"the Hugging Face Hub has no open repository '{repo}': check its name") from None
    except Exception as error:  # errors of its own, or of its HTTP library
        raise _failed(repo, error) from None
    licence = str((info.card_data or {}).get("license") or "unknown").lower()[:60]
    if licence == "other":
        licence = str((info.card_data or {}).get("license_name") or licence).lower()[:60]
    sizes = {one.rfilename: int(one.size or 0) for one in info.siblings or []}
    return HubModel(repo, licence, str(info.sha or ""), sizes)


def _failed(repo: str, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(f"{repo} could not be fetched from the Hugging Face Hub: {lines[0][:160]}")
