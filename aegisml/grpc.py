"""What the gRPC server answers: its health, until the services join it."""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


def add_handlers(server: grpc.Server) -> None:
    """Register every servicer on `server`."""
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
