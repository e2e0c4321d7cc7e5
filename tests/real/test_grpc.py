"""grpcio on both sides: every kind of call, an error in the trailers, and faults of the gateway."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from gateway import HEAD, WEB

COUNT = 200


class Calls(grpc.GenericRpcHandler):
    """Calls on plain bytes, so that no code is generated."""

    def service(self, details):
        kinds = {
            "/l.L/Unary": grpc.unary_unary_rpc_method_handler(lambda ask, _: b"got " + ask),
            "/t.T/Unary": grpc.unary_unary_rpc_method_handler(lambda ask, _: b"got " + ask),
            "/t.T/Down": grpc.unary_stream_rpc_method_handler(self.down),
            "/t.T/Up": grpc.stream_unary_rpc_method_handler(lambda asks, _: b"%d" % sum(1 for _ in asks)),
            "/t.T/Both": grpc.stream_stream_rpc_method_handler(lambda asks, _: (b"got " + ask for ask in asks)),
            "/t.T/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        return kinds.get(details.method)

    @staticmethod
    def down(ask, _):
        for index in range(int(ask)):
            yield b"%d" % index

    @staticmethod
    def fail(_, context):
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not now: 50% är done")


@pytest.fixture(scope="module")
def gateway(start):
    server = grpc.server(ThreadPoolExecutor(8), [Calls()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield start(f"""{HEAD}{WEB}
[upstreams.calls]
endpoints = [{{ address = "127.0.0.1:{port}" }}]
protocol = "h2"

[upstreams.nobody]
endpoints = [{{ address = "127.0.0.1:1" }}]
protocol = "h2"

[[routes]]
name = "calls"
path_prefix = "/t.T"
upstream = "calls"

[[routes]]
name = "limited"
path_prefix = "/l.L"
upstream = "calls"
max_body = "100B"

[[routes.rate_limits]]
rate = "1/s"

[[routes]]
name = "nobody"
path_prefix = "/n.N"
upstream = "nobody"
""")
    server.stop(0).wait()


@pytest.fixture
def channel(gateway):
    with grpc.insecure_channel(gateway.address(), options=[("grpc.enable_http_proxy", 0)]) as made:
        yield made


def test_a_unary_call_is_answered(channel):
    assert channel.unary_unary("/t.T/Unary")(b"it", timeout=20) == b"got it"


def test_a_server_stream_comes_in_order(channel):
    seen = list(channel.unary_stream("/t.T/Down")(b"%d" % COUNT, timeout=20))
    assert seen == [b"%d" % index for index in range(COUNT)]


def test_a_client_stream_arrives_whole(channel):
    asks = (b"x" * 1000 for _ in range(COUNT))
    assert channel.stream_unary("/t.T/Up")(asks, timeout=20) == b"%d" % COUNT


def test_both_streams_run_at_the_same_time(channel):
    asks = [b"%d" % index for index in range(COUNT)]
    seen = list(channel.stream_stream("/t.T/Both")(iter(asks), timeout=20))
    assert seen == [b"got " + ask for ask in asks]


def test_an_error_status_comes_in_the_trailers(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/t.T/Fail")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert failed.value.details() == "not now: 50% är done"
    assert ("x-why", "because") in failed.value.trailing_metadata()


def test_a_call_whose_service_is_down_gets_a_grpc_status(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/n.N/Any")(b"", timeout=20)
    assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
    fields = {entry[0]: entry[1] for entry in failed.value.initial_metadata() or ()}
    fields |= {entry[0]: entry[1] for entry in failed.value.trailing_metadata() or ()}
    assert "connection_refused" in fields["proxy-status"]


@pytest.fixture
def stubborn(gateway):
    """A channel whose calls are tried again, by their own policy in two minutes at random."""
    policy = {"maxAttempts": 4, "initialBackoff": "120s", "maxBackoff": "120s", "backoffMultiplier": 1}
    policy["retryableStatusCodes"] = ["RESOURCE_EXHAUSTED"]
    service = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    options = [("grpc.enable_http_proxy", 0), ("grpc.service_config", service)]
    with grpc.insecure_channel(gateway.address(), options=options) as made:
        yield made


def test_a_call_that_was_shed_is_tried_again_when_the_gateway_says(stubborn):
    call = stubborn.unary_unary("/l.L/Unary")
    began = time.monotonic()
    for _ in range(3):
        assert call(b"it", timeout=20) == b"got it"
    assert 1 <= time.monotonic() - began < 10


def test_a_call_that_can_never_succeed_is_not_tried_again(stubborn, gateway):
    time.sleep(1.1)  # the bucket has a token again
    refused = {"route": "limited", "kind": "http_request_error"}
    before = gateway.metric("tidegate_faults_total", **refused)
    with pytest.raises(grpc.RpcError) as failed:
        stubborn.unary_unary("/l.L/Unary")(b"x" * 1000, timeout=20)
    assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert gateway.metric("tidegate_faults_total", **refused) == before + 1
