from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HostRoute(_message.Message):
    __slots__ = ["hosts", "namespace", "shares"]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SHARES_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    namespace: str
    shares: _containers.RepeatedCompositeFieldContainer[RouteShare]
    def __init__(self, hosts: _Optional[_Iterable[str]] = ..., namespace: _Optional[str] = ..., shares: _Optional[_Iterable[_Union[RouteShare, _Mapping]]] = ...) -> None: ...

class PodEndpoint(_message.Message):
    __slots__ = ["address", "ready"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    address: str
    ready: bool
    def __init__(self, address: _Optional[str] = ..., ready: bool = ...) -> None: ...

class RevisionBackend(_message.Message):
    __slots__ = ["container_concurrency", "failure", "h2c", "idle_timeout_seconds", "name", "namespace", "pods", "probe_path", "response_start_timeout_seconds", "timeout_seconds"]
    CONTAINER_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    H2C_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PODS_FIELD_NUMBER: _ClassVar[int]
    PROBE_PATH_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_START_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    container_concurrency: int
    failure: str
    h2c: bool
    idle_timeout_seconds: int
    name: str
    namespace: str
    pods: _containers.RepeatedCompositeFieldContainer[PodEndpoint]
    probe_path: str
    response_start_timeout_seconds: int
    timeout_seconds: int
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., pods: _Optional[_Iterable[_Union[PodEndpoint, _Mapping]]] = ..., container_concurrency: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., h2c: bool = ..., probe_path: _Optional[str] = ..., failure: _Optional[str] = ..., response_start_timeout_seconds: _Optional[int] = ..., idle_timeout_seconds: _Optional[int] = ...) -> None: ...

class RevisionLoad(_message.Message):
    __slots__ = ["average_concurrency", "in_flight", "namespace", "requests", "revision", "waiting"]
    AVERAGE_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    average_concurrency: float
    in_flight: int
    namespace: str
    requests: int
    revision: str
    waiting: int
    def __init__(self, namespace: _Optional[str] = ..., revision: _Optional[str] = ..., average_concurrency: _Optional[float] = ..., requests: _Optional[int] = ..., waiting: _Optional[int] = ..., in_flight: _Optional[int] = ...) -> None: ...

class RouteShare(_message.Message):
    __slots__ = ["percent", "revision"]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    percent: int
    revision: str
    def __init__(self, revision: _Optional[str] = ..., percent: _Optional[int] = ...) -> None: ...

class RouterServiceSyncRequest(_message.Message):
    __slots__ = ["loads", "router", "table_version"]
    LOADS_FIELD_NUMBER: _ClassVar[int]
    ROUTER_FIELD_NUMBER: _ClassVar[int]
    TABLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    loads: _containers.RepeatedCompositeFieldContainer[RevisionLoad]
    router: str
    table_version: int
    def __init__(self, router: _Optional[str] = ..., table_version: _Optional[int] = ..., loads: _Optional[_Iterable[_Union[RevisionLoad, _Mapping]]] = ...) -> None: ...

class RouterServiceSyncResponse(_message.Message):
    __slots__ = ["hosts", "revisions", "version"]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    hosts: _containers.RepeatedCompositeFieldContainer[HostRoute]
    revisions: _containers.RepeatedCompositeFieldContainer[RevisionBackend]
    version: int
    def __init__(self, version: _Optional[int] = ..., hosts: _Optional[_Iterable[_Union[HostRoute, _Mapping]]] = ..., revisions: _Optional[_Iterable[_Union[RevisionBackend, _Mapping]]] = ...) -> None: ...
