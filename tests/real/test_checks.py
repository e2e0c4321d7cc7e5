"""Active checks by the gRPC health protocol, against the health service of grpcio."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from gateway import HEAD, WEB, until
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = "shop.v1.Orders"
STATUS = health_pb2.HealthCheckResponse


@pytest.fixture(scope="module")
def service():
    """A health service and its port."""
    server = grpc.server(ThreadPoolExecutor(4))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(0).wait()


def endpoint(start, port, check):
    """A gateway with one endpoint, and a function that says what the API says of it."""
    gateway = start(f"""{HEAD}{WEB}
[upstreams.orders]
endpoints = [{{ address = "127.0.0.1:{port}" }}]

[upstreams.orders.health]
{check}
interval = "100ms"
timeout = "100ms"
unhealthy_after = 2
healthy_after = 2

[[routes]]
upstream = "orders"
""")

    def says():
        upstreams = json.loads(gateway.ask("/api/v1/upstreams")[1])
        return upstreams[0]["endpoints"][0]

    return says


def test_the_status_of_a_service_takes_its_endpoint_out_and_brings_it_back(start, service):
    servicer, port = service
    servicer.set(SERVICE, STATUS.SERVING)
    says = endpoint(start, port, f'grpc = {{ service = "{SERVICE}" }}')
    until("it passes", lambda: "it passes its checks" in says()["sentence"])
    servicer.set(SERVICE, STATUS.NOT_SERVING)
    until("it is down", lambda: says()["state"] == "down")
    assert "gRPC health is NOT_SERVING" in says()["sentence"]
    servicer.set(SERVICE, STATUS.SERVING)
    until("it is up", lambda: says()["healthy"])


def test_the_server_as_a_whole_is_asked_about_where_no_service_is_named(start, service):
    servicer, port = service
    servicer.set("", STATUS.SERVING)
    says = endpoint(start, port, "grpc = true")
    until("it passes", lambda: "it passes its checks" in says()["sentence"])


def test_a_service_that_the_server_does_not_know_is_told(start, service):
    says = endpoint(start, service[1], 'grpc = { service = "no.such" }')
    until("it is down", lambda: says()["state"] == "down")
    assert "NOT_FOUND" in says()["sentence"]
