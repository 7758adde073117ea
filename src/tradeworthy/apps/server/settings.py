"""The `[serve]` section: where the port listens, and what it lets a caller cost."""

import msgspec

from tradeworthy.change.access.doorkeeper import DoorSettings

WORKERS_MAX = 256


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the port listens and its limits.

    Attributes
    ----------
    host : str
        Address to listen on; only this machine's own unless changed.
    port : int
        TCP port; 0 lets the system choose.
    socket : str
        Path of a unix socket to listen on instead; empty for TCP.
    certificate, private_key : str
        PEM files for TLS, beside the settings file; empty for none. Without them, serve other machines through a proxy.
    connections_max : int
        Open connections; one more is answered 503 and closed.
    body_bytes_max : int
        Of a request's body, also after it was decompressed; 413 beyond.
    header_bytes_max : int
        Of a request's line and headers together; 431 beyond.
    rows_max : int
        Rows or events in one request.
    pipelined_max : int
        Requests of one connection that may wait for an answer that takes time; more are refused with 503.
    request_s_max : float
        From a request's first byte to its last; 408 beyond.
    idle_s_max : float
        How long a connection may be open without a request; a WebSocket without a message or a pong.
    wait_ms_max : float
        A request that waited longer than this in the loop's own turn is refused with 503: the port has too much to do.
    awake_us : float
        How long the loop looks for the next request after one before it sleeps. A caller who asks again within that
        time is answered some 25 us sooner, for as much of a core's time: worth it where the engine has a core of its
        own. 0 sleeps at once.
    slow_requests_max : int
        Requests at work outside the loop (explanations, lists, loads); more are refused with 503.
    workers : int
        Processes beside the engine's own that score rows, at one address for all of them; they decide nothing.
    rows_port : int
        The TCP port of that address; 0 lets the system choose.
    requests_log : bool
        Record the rows and scores of stateless requests on the tape.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    socket: str = ""
    certificate: str = ""
    private_key: str = ""
    connections_max: int = 2_000
    body_bytes_max: int = 1_048_576
    header_bytes_max: int = 16_384
    rows_max: int = 1_024
    pipelined_max: int = 64
    request_s_max: float = 10.0
    idle_s_max: float = 60.0
    wait_ms_max: float = 250.0
    awake_us: float = 0.0
    slow_requests_max: int = 8
    workers: int = 0
    rows_port: int = 8081
    requests_log: bool = True
    door: DoorSettings = DoorSettings()

    def __post_init__(self) -> None:
        """Refuse limits that would let nobody in."""
        for name in self.__struct_fields__:
            if name.endswith("_max") and not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a positive number")
        if not self.awake_us >= 0:
            raise ValueError(f"awake_us is {self.awake_us}, allowed is zero or more")
        if bool(self.certificate) != bool(self.private_key):
            raise ValueError("certificate and private_key are given together, or neither")
        for name in ("port", "rows_port"):
            if not 0 <= getattr(self, name) < 65_536:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is 0 to 65535")
        if not 0 <= self.workers <= WORKERS_MAX:
            raise ValueError(f"workers is {self.workers}, allowed is 0 to {WORKERS_MAX}")
