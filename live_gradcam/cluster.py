"""The machines of a Ray cluster, as `annotate` and `serve` use them."""

from __future__ import annotations

import logging
import os
import socket
from importlib.util import find_spec
from typing import Any

from live_gradcam.errors import LiveGradcamError, UsageError, first_line
from live_gradcam.silence import quiet_tensorflow

#: The address of a cluster that is started on this machine for the run.
LOCAL = "local"
_DEFAULT_CORES = 2
_ADDRESS_SECONDS = 10


class ClusterError(LiveGradcamError):
    """The cluster cannot be used."""


def check_cluster() -> None:
    """Make sure that Ray is there.

    Raises:
        UsageError: it is not.
    """
    if find_spec("ray") is None:
        raise UsageError("--cluster needs Ray: pip install 'live-gradcam[cluster]'")


class Cluster:
    """A connection to a Ray cluster.

    Args:
        address: of the cluster, such as 10.0.0.1:6379; "auto" for the one that this machine belongs to; "local" for one
            of this machine's own.
        threads: the cores of an actor; None for 2.

    Attributes:
        ray: the package.
        cores: the cores of an actor.
        count: how many actors there can be: one for each graphics processor, or else for each so many cores.

    Raises:
        UsageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or has too few cores for one actor.
    """

    def __init__(self, address: str, threads: int | None) -> None:
        check_cluster()
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors are reported in one line of ours
        import ray

        self.ray: Any = ray
        self.cores = threads or _DEFAULT_CORES
        try:
            _check_address(address)  # Ray would wait for minutes
            with quiet_tensorflow():  # Ray's C++ code prints as much
                ray.init(
                    address=None if address == LOCAL else address,
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                    include_dashboard=False if address == LOCAL else None,
                )
        except Exception as error:  # Ray's many kinds
            raise ClusterError(f"the cluster {address} cannot be reached: {first_line(error)}") from error
        resources = ray.cluster_resources()
        self._gpus = int(resources.get("GPU", 0))
        self.count = self._gpus or int(resources.get("CPU", 0)) // self.cores
        if not self.count:
            ray.shutdown()
            raise ClusterError(
                f"the cluster {address} has fewer than the {self.cores} cores that one worker needs: add --threads 1"
            )

    def actor(self, kind: type, **options: Any) -> Any:
        """What makes actors of a class, each with its cores, and its graphics processor where there are some.

        Args:
            kind: the class.
            options: of Ray.
        """
        return self.ray.remote(num_cpus=self.cores, num_gpus=1 if self._gpus else 0, **options)(kind)

    def close(self) -> None:
        """End all actors, and the connection."""
        self.ray.shutdown()


def _check_address(address: str) -> None:
    """Make sure that something answers at HOST:PORT; Ray checks an address of another form.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ADDRESS_SECONDS).close()
