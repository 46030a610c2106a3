"""A private hook: how soon TensorFlow's coordination service takes a worker for dead, or stops waiting for one.

MultiWorkerMirroredStrategy (TensorFlow 2.20) starts the service with no way to give it limits: a worker that never
comes would be waited for an hour. It leaves a service alone that the context already has, which is what this file
uses. tests/training/test_multi_worker.py fails when the hook moves.
"""

from __future__ import annotations

from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
from tensorflow.python.eager import context

JOIN_SECONDS = 600  # nodes of a batch system come one after the other
HEARTBEAT_SECONDS = 20


def configure(workers: int) -> None:
    """Call it before the strategy is made, with all workers in the job `worker`."""
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=1000 * JOIN_SECONDS,
        heartbeat_timeout_in_ms=1000 * HEARTBEAT_SECONDS,
        coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=workers)],
    )
