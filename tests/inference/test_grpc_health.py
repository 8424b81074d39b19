"""The gRPC door tells its health."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from grpc_health.v1 import health_pb2, health_pb2_grpc

from aegisml.grpc import add_handlers


@pytest.fixture
def address() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
    add_handlers(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_the_server_says_that_it_serves(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=5
        )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_an_unknown_service_is_not_found(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service="nope")
        with pytest.raises(grpc.RpcError) as raised:
            health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_taken_port_fails_loudly(address: str) -> None:
    with pytest.raises(CommandError, match="can't listen"):
        call_command("serve_grpc", "--address", address)
