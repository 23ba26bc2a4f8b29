"""The one call of a Kubernetes API that OpenBao makes: is this service account token good?"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CLAIMS = {
    "iss": "kubernetes/serviceaccount",
    "sub": "system:serviceaccount:enclave:enclave-engine",
    "aud": ["enclave"],
    "iat": 1,
    "nbf": 1,
    "exp": 4102444800,  # 2100
    "kubernetes.io": {"namespace": "enclave", "serviceaccount": {"name": "enclave-engine", "uid": "1"}},
}


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


POD_TOKEN = f"{_part({'alg': 'RS256'})}.{_part(_CLAIMS)}.{_part({})}"


class _Review(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = asked["spec"]["token"] == POD_TOKEN
        user = {"username": _CLAIMS["sub"], "uid": "1", "groups": ["system:serviceaccounts"]}
        status = {"authenticated": good, "user": user if good else {}, "audiences": _CLAIMS["aud"]}
        sent = json.dumps({**asked, "status": status}).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


@contextmanager
def token_review() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Review)
    worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    worker.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        worker.join()
        server.server_close()
