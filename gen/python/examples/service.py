# Copyright The Fairlead Authors.
# SPDX-License-Identifier: Apache-2.0

"""Creates, watches and deletes a Service with the Python client.

Where the server is and who calls come from the environment: see gen/README.md.
"""

import os

import grpc

from fairlead.core.v1 import core_pb2
from fairlead.meta.v1 import meta_pb2, requests_pb2
from fairlead.serving.v1 import service_service_pb2, service_service_pb2_grpc, serving_pb2

TIMEOUT = 60  # seconds


def connect():
    """Returns a channel to the server, and the metadata of each call."""
    address = os.environ["FAIRLEAD_ADDRESS"]
    metadata = [("authorization", "Bearer " + os.environ["FAIRLEAD_TOKEN"])]
    ca = os.environ.get("FAIRLEAD_CA")
    if not ca:
        return grpc.insecure_channel(address), metadata
    with open(ca, "rb") as file:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read())), metadata


def create_watch_delete(channel, metadata, namespace, name):
    services = service_service_pb2_grpc.ServiceServiceStub(channel)
    call = {"metadata": metadata, "timeout": TIMEOUT}
    # What is there already comes first, so it does not matter whether the watch or the object is there before the other.
    watch = services.Watch(
        requests_pb2.WatchRequest(namespace=namespace, field_selector="metadata.name=" + name), **call
    )
    service = serving_pb2.Service(
        metadata=meta_pb2.ObjectMeta(name=name, namespace=namespace),
        spec=serving_pb2.ServiceSpec(
            template=serving_pb2.RevisionTemplateSpec(
                spec=serving_pb2.RevisionSpec(
                    pod_spec=core_pb2.PodSpec(
                        containers=[core_pb2.Container(name="app", image="registry.example.com/hello:1")]
                    )
                )
            )
        ),
    )
    services.Create(service_service_pb2.ServiceServiceCreateRequest(object=service), **call)
    for event in watch:
        print(event.type, event.object.metadata.name, flush=True)
        if event.type == "ADDED":
            services.Delete(requests_pb2.DeleteRequest(namespace=namespace, name=name), **call)
        elif event.type == "DELETED":
            watch.cancel()
            return


if __name__ == "__main__":
    channel, metadata = connect()
    with channel:
        create_watch_delete(channel, metadata, os.environ["FAIRLEAD_NAMESPACE"], "hello-python")
