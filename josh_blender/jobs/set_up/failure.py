"""Why a set-up ends without an environment, in the words of the job protocol."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from ..protocol import Error

GB = 1_000_000_000

_NO_ROOM = re.compile(
    r"No space left on device|Errno 28|not enough space on the disk|Disk quota exceeded", re.IGNORECASE
)
_NO_NETWORK = re.compile(
    r"Failed to establish a new connection|name resolution|getaddrinfo failed|Max retries exceeded|timed out"
    r"|Network is unreachable|Connection (?:refused|reset|aborted|broken)|ProxyError|SSLError|Could not fetch URL"
    r"|from versions: none",
    re.IGNORECASE,
)
_NOT_TRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", re.IGNORECASE)
_WRONG_HASH = re.compile(r"DO NOT MATCH THE HASHES|Hash mismatch", re.IGNORECASE)


class SetUpError(Exception):
    """A set-up that cannot go on; ``error`` says why and what to do."""

    def __init__(self, kind: str, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}")
        self.error = Error(kind, message, remedy)


def no_room(folder: Path, needed: int = 0) -> SetUpError:
    """The disk is full, or will be: ``needed`` bytes are to come."""
    what = f"has no room for the {needed / GB:.1f} GB that the engine still needs" if needed else "is full"
    return SetUpError(
        "no_room",
        f"The disk of “{folder}” {what}.",
        "Free some room, or choose another folder, and press Set Up Engine again: what was downloaded is kept.",
    )


def no_network(what: str, who: str = "the network") -> SetUpError:
    """A download for which ``who`` does not answer."""
    return SetUpError(
        "no_network",
        f"{what} cannot be downloaded: {who} does not answer.",
        "Check the connection, and press Set Up Engine again: it goes on where it stopped.",
    )


def is_no_room(error: OSError) -> bool:
    """Whether a failed write came from a full disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def explain_pip(output: str, what: str, folder: Path, log: Path) -> SetUpError:
    """What pip's last words mean; ``what`` is what it was to fetch or install."""
    if _NO_ROOM.search(output):
        return no_room(folder)
    if _WRONG_HASH.search(output):
        return SetUpError(
            "wrong_hash",
            f"{what} is not the file that this version of the extension was tested with, so it was not installed.",
            "Press Set Up Engine again; if it happens again, the place that pip downloads from serves another file.",
        )
    if _NOT_TRUSTED.search(output):
        return SetUpError(
            "not_trusted",
            f"{what} cannot be downloaded: the certificate of the place it comes from is not trusted on this computer.",
            "Where a company's network puts its own certificate in between, set the variable PIP_CERT to that"
            " certificate's file, start Blender again, and press Set Up Engine.",
        )
    if _NO_NETWORK.search(output):
        return no_network(what)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1] if lines else "no reason")
    return SetUpError(
        "pip_failed",
        f"{what} could not be installed: {said.removeprefix('ERROR:').strip().rstrip('.')}.",
        f"The log is {log}.",
    )
