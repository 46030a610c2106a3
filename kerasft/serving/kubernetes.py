"""Kubernetes objects that serve one model: a Deployment, a Service and a HorizontalPodAutoscaler."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kerasft.serving.tf_serving import GRPC_PORT, IMAGE, REST_PORT

PROBE_SECONDS = 5
# A cluster's disks and CPUs are slower than where it was measured, and share; at least ten minutes to start.
SLOWER, SHORTEST_START = 20, 600


def object_name(name: str) -> str:
    """A model's name -> one that Kubernetes and compose take: lower case, digits and -, 50 characters at most."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower())[:50].strip("-")
    return f"serve-{plain}" if plain[:1].isdigit() else plain  # a Service's name starts with a letter


def manifests(
    name: str, arguments: Sequence[str], needs: Mapping[str, int], start_seconds: float, metrics_path: str
) -> list[dict[str, Any]]:
    """The three objects.

    Args:
        name: of the model, and of the objects.
        arguments: flags of tensorflow_model_server.
        needs: {cpus, memory_mib, memory_limit_mib}.
        start_seconds: measured, to load and warm up one version.
        metrics_path: of the Prometheus metrics, on the REST port.
    """
    called = object_name(name)
    labels = {"app.kubernetes.io/name": called, "app.kubernetes.io/component": "tensorflow-serving"}
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(REST_PORT),
        "prometheus.io/path": metrics_path,
    }
    pod = {
        "containers": [_container(name, arguments, needs, start_seconds)],
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": f"{called}-models", "readOnly": True}}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": called, "labels": labels},
        "spec": {
            # No `replicas`: the autoscaler sets them, and each apply would set them back.
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod},
        },
    }
    return [deployment, _service(called, labels), _autoscaler(called, labels)]


def _container(name: str, arguments: Sequence[str], needs: Mapping[str, int], start_seconds: float) -> dict[str, Any]:
    start = max(SHORTEST_START, math.ceil(SLOWER * start_seconds))
    # The server opens its ports once the first version is loaded. The status answers while any version is known; the
    # metadata only while one can be asked.
    alive = {"httpGet": {"path": f"/v1/models/{name}", "port": "rest"}, "periodSeconds": PROBE_SECONDS}
    ready = {"httpGet": {"path": f"/v1/models/{name}/metadata", "port": "rest"}, "periodSeconds": PROBE_SECONDS}
    return {
        "name": "tensorflow-serving",
        "image": IMAGE,
        "args": list(arguments),
        "ports": [{"name": "grpc", "containerPort": GRPC_PORT}, {"name": "rest", "containerPort": REST_PORT}],
        "volumeMounts": [{"name": "models", "mountPath": f"/models/{name}", "readOnly": True}],
        # A limit on CPU would stop every thread at once for the rest of a period: it makes the slowest answers slower.
        "resources": {
            "requests": {"cpu": str(needs["cpus"]), "memory": f"{needs['memory_mib']}Mi"},
            "limits": {"memory": f"{needs['memory_limit_mib']}Mi"},
        },
        "startupProbe": {**alive, "timeoutSeconds": 5, "failureThreshold": math.ceil(start / PROBE_SECONDS)},
        "livenessProbe": {**alive, "timeoutSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**ready, "timeoutSeconds": 5, "failureThreshold": 3},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        # Time for the endpoints to forget the pod before the server stops answering.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}},
    }


def _service(called: str, labels: Mapping[str, str]) -> dict[str, Any]:
    ports = [{"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc"}]
    ports += [{"name": "rest", "port": REST_PORT, "targetPort": "rest"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": called, "labels": dict(labels)},
        "spec": {"selector": dict(labels), "ports": ports},
    }


def _autoscaler(called: str, labels: Mapping[str, str]) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": called, "labels": dict(labels)},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": called},
            "minReplicas": 2,
            "maxReplicas": 8,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
