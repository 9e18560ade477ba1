# SPDX-License-Identifier: Apache-2.0
"""Questions about objects of Kubernetes, as its API shows them."""


def is_ready(body):
    """Whether a node or pod has the condition Ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in body["status"].get("conditions", []))


def container_id(pod, name):
    """The runtime's id of a container, or "" before it has one."""
    for status in pod["status"].get("containerStatuses", []):
        if status["name"] == name:
            return status.get("containerID", "").rpartition("/")[2]
    return ""
