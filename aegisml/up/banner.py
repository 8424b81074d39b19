"""What a new user reads when everything runs: where things are, and lines to try."""

from aegisml.config import Server

BANNER = """
AegisShield ML is ready.

  admin      {web}/admin/
  API docs   {web}/api/docs   (ReDoc: {web}/api/redoc)
  gRPC       {host}:{grpc_port}
  metrics    http://{host}:{metrics_port}/metrics
  logs       {logs}

  The users' first passwords were printed once, when they were made.
  A new one for admin: .venv/bin/python manage.py changepassword admin

Try it (with the password of admin in the first line):

PASSWORD='...'
TOKEN=$(curl -s {web}/api/v1/auth/token -H 'Content-Type: application/json' \
-d "{{\\"username\\": \\"admin\\", \\"password\\": \\"$PASSWORD\\"}}" \
| python3 -c 'import json, sys; print(json.load(sys.stdin)["access"])')
ANSWER=$(curl -s {web}/api/v1/models/demo_fraud_detection/predict \
-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
-d '{{"event": {{"transaction_id": 900001, "timestamp": "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'", \
"customer_id": 7, "terminal_id": 42, "amount": 150.50, "merchant_category": "grocery", \
"location": "domestic"}}}}'); echo "$ANSWER"
ID=$(echo "$ANSWER" | python3 -c 'import json, sys; print(json.load(sys.stdin)["prediction_id"])')
curl -s {web}/api/v1/predictions/$ID -H "Authorization: Bearer $TOKEN"

Ctrl-C ends everything.
"""


def banner(server: Server, logs: str) -> str:
    host = reachable(server.host)
    return BANNER.format(
        web=f"http://{host}:{server.http_port}",
        host=host,
        grpc_port=server.grpc_port,
        metrics_port=server.metrics_port,
        logs=logs,
    )


def reachable(host: str) -> str:
    """An address to connect to, for one to listen on."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
