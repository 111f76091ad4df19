from buf.validate import validate_pb2 as _validate_pb2
from fairlead.core.v1 import core_pb2 as _core_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Addressable(_message.Message):
    __slots__ = ["audience", "ca_certs", "name", "url"]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    CA_CERTS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    audience: str
    ca_certs: str
    name: str
    url: str
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ..., ca_certs: _Optional[str] = ..., audience: _Optional[str] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: ConfigurationSpec
    status: ConfigurationStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[ConfigurationSpec, _Mapping]] = ..., status: _Optional[_Union[ConfigurationStatus, _Mapping]] = ...) -> None: ...

class ConfigurationSpec(_message.Message):
    __slots__ = ["template"]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    template: RevisionTemplateSpec
    def __init__(self, template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ...) -> None: ...

class ConfigurationStatus(_message.Message):
    __slots__ = ["annotations", "conditions", "latest_created_revision_name", "latest_ready_revision_name", "observed_generation"]
    class AnnotationsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    LATEST_CREATED_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_READY_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    latest_created_revision_name: str
    latest_ready_revision_name: str
    observed_generation: int
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., latest_created_revision_name: _Optional[str] = ..., latest_ready_revision_name: _Optional[str] = ...) -> None: ...

class ContainerStatus(_message.Message):
    __slots__ = ["image_digest", "name"]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    image_digest: str
    name: str
    def __init__(self, name: _Optional[str] = ..., image_digest: _Optional[str] = ...) -> None: ...

class Revision(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: RevisionSpec
    status: RevisionStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[RevisionSpec, _Mapping]] = ..., status: _Optional[_Union[RevisionStatus, _Mapping]] = ...) -> None: ...

class RevisionSpec(_message.Message):
    __slots__ = ["container_concurrency", "idle_timeout_seconds", "pod_spec", "response_start_timeout_seconds", "timeout_seconds"]
    CONTAINER_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    POD_SPEC_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_START_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    container_concurrency: int
    idle_timeout_seconds: int
    pod_spec: _core_pb2.PodSpec
    response_start_timeout_seconds: int
    timeout_seconds: int
    def __init__(self, pod_spec: _Optional[_Union[_core_pb2.PodSpec, _Mapping]] = ..., container_concurrency: _Optional[int] = ..., timeout_seconds: _Optional[int] = ..., response_start_timeout_seconds: _Optional[int] = ..., idle_timeout_seconds: _Optional[int] = ...) -> None: ...

class RevisionStatus(_message.Message):
    __slots__ = ["actual_replicas", "annotations", "conditions", "container_statuses", "desired_replicas", "init_container_statuses", "log_url", "observed_generation"]
    class AnnotationsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ACTUAL_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_STATUSES_FIELD_NUMBER: _ClassVar[int]
    DESIRED_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    INIT_CONTAINER_STATUSES_FIELD_NUMBER: _ClassVar[int]
    LOG_URL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    actual_replicas: int
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    container_statuses: _containers.RepeatedCompositeFieldContainer[ContainerStatus]
    desired_replicas: int
    init_container_statuses: _containers.RepeatedCompositeFieldContainer[ContainerStatus]
    log_url: str
    observed_generation: int
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., log_url: _Optional[str] = ..., container_statuses: _Optional[_Iterable[_Union[ContainerStatus, _Mapping]]] = ..., init_container_statuses: _Optional[_Iterable[_Union[ContainerStatus, _Mapping]]] = ..., actual_replicas: _Optional[int] = ..., desired_replicas: _Optional[int] = ...) -> None: ...

class RevisionTemplateSpec(_message.Message):
    __slots__ = ["metadata", "spec"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: RevisionSpec
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[RevisionSpec, _Mapping]] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: RouteSpec
    status: RouteStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[RouteSpec, _Mapping]] = ..., status: _Optional[_Union[RouteStatus, _Mapping]] = ...) -> None: ...

class RouteSpec(_message.Message):
    __slots__ = ["traffic"]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    def __init__(self, traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class RouteStatus(_message.Message):
    __slots__ = ["address", "annotations", "conditions", "observed_generation", "traffic", "url"]
    class AnnotationsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    address: Addressable
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    observed_generation: int
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    url: str
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., url: _Optional[str] = ..., address: _Optional[_Union[Addressable, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: ServiceSpec
    status: ServiceStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[ServiceSpec, _Mapping]] = ..., status: _Optional[_Union[ServiceStatus, _Mapping]] = ...) -> None: ...

class ServiceSpec(_message.Message):
    __slots__ = ["template", "traffic"]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    template: RevisionTemplateSpec
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    def __init__(self, template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class ServiceStatus(_message.Message):
    __slots__ = ["address", "annotations", "conditions", "latest_created_revision_name", "latest_ready_revision_name", "observed_generation", "traffic", "url"]
    class AnnotationsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    LATEST_CREATED_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_READY_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    address: Addressable
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    latest_created_revision_name: str
    latest_ready_revision_name: str
    observed_generation: int
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    url: str
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., latest_created_revision_name: _Optional[str] = ..., latest_ready_revision_name: _Optional[str] = ..., url: _Optional[str] = ..., address: _Optional[_Union[Addressable, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class TrafficTarget(_message.Message):
    __slots__ = ["configuration_name", "latest_revision", "percent", "revision_name", "tag", "url"]
    CONFIGURATION_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_REVISION_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    configuration_name: str
    latest_revision: bool
    percent: int
    revision_name: str
    tag: str
    url: str
    def __init__(self, tag: _Optional[str] = ..., revision_name: _Optional[str] = ..., configuration_name: _Optional[str] = ..., latest_revision: bool = ..., percent: _Optional[int] = ..., url: _Optional[str] = ...) -> None: ...
