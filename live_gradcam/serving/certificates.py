"""A certificate for https on one's own network. Its authority is kept, so that a phone installs it once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from live_gradcam.errors import LiveGradcamError
from live_gradcam.files import cache_folder, writing

if TYPE_CHECKING:
    import trustme

#: Phones refuse certificates that are good for more than 825 days. One is made at each start.
_DAYS = 90
_AUTHORITY, _AUTHORITY_KEY = "authority.pem", "authority-key.pem"


class OwnCertificate(NamedTuple):
    """A certificate that was made here.

    Attributes:
        certificate: a PEM file.
        key: its key, a PEM file.
        authority: what a browser or a phone installs to trust it, PEM.
    """

    certificate: Path
    key: Path
    authority: bytes


@contextmanager
def own_certificate(names: Sequence[str], folder: Path | None = None) -> Iterator[OwnCertificate]:
    """Make a certificate, whose files are removed in the end.

    Args:
        names: names and numbers that it is for; those that no certificate can be for are left out.
        folder: where the authority is kept, readable for this user alone; None for the user's cache folder.

    Raises:
        OutputError: the authority cannot be written.
        LiveGradcamError: the one that is kept is damaged.
    """
    authority = _authority(folder or cache_folder() / "https")
    until = datetime.now(timezone.utc) + timedelta(days=_DAYS)
    certified = [name for name in dict.fromkeys(names) if _can_be_certified(authority, name)]
    leaf = authority.issue_cert("localhost", "127.0.0.1", "::1", *certified, not_after=until)
    with tempfile.TemporaryDirectory(prefix="live-gradcam-") as made:  # readable for this user alone
        certificate, key = Path(made, "certificate.pem"), Path(made, "key.pem")
        certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        key.write_bytes(leaf.private_key_pem.bytes())
        yield OwnCertificate(certificate, key, authority.cert_pem.bytes())


def _can_be_certified(authority: trustme.CA, name: str) -> bool:
    """Whether a certificate can be for a name: not for one with an underscore, as some machines have."""
    try:
        authority.issue_cert(name)
    except ValueError:
        return False
    return True


def _authority(folder: Path) -> trustme.CA:
    """The authority that is kept, or a new one."""
    import trustme

    certificate, key = folder / _AUTHORITY, folder / _AUTHORITY_KEY
    if certificate.is_file() and key.is_file():
        try:
            return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
        except (ValueError, OSError) as error:
            raise LiveGradcamError(f"the certificates in {folder} cannot be read: remove this folder") from error
    authority = trustme.CA(organization_name="live-gradcam", organization_unit_name="made on your own machine")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_secret(key, authority.private_key_pem.bytes())
        _write_secret(certificate, authority.cert_pem.bytes())
    return authority


def _write_secret(path: Path, content: bytes) -> None:
    """Write a file that nobody else can read at any moment."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
