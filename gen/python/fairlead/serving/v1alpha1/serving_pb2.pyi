from buf.validate import validate_pb2 as _validate_pb2
from fairlead.core.v1 import core_pb2 as _core_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from fairlead.serving.v1 import serving_pb2 as _serving_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Addressable(_message.Message):
    __slots__ = ["addressable", "hostname"]
    ADDRESSABLE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    addressable: _serving_pb2.Addressable
    hostname: str
    def __init__(self, addressable: _Optional[_Union[_serving_pb2.Addressable, _Mapping]] = ..., hostname: _Optional[str] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: ConfigurationSpec
    status: _serving_pb2.ConfigurationStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[ConfigurationSpec, _Mapping]] = ..., status: _Optional[_Union[_serving_pb2.ConfigurationStatus, _Mapping]] = ...) -> None: ...

class ConfigurationSpec(_message.Message):
    __slots__ = ["build", "generation", "revision_template", "template"]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    build: _meta_pb2.RawJSON
    generation: int
    revision_template: RevisionTemplateSpec
    template: RevisionTemplateSpec
    def __init__(self, generation: _Optional[int] = ..., build: _Optional[_Union[_meta_pb2.RawJSON, _Mapping]] = ..., revision_template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ..., template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ...) -> None: ...

class ManualType(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class PinnedType(_message.Message):
    __slots__ = ["configuration", "revision_name"]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    configuration: ConfigurationSpec
    revision_name: str
    def __init__(self, revision_name: _Optional[str] = ..., configuration: _Optional[_Union[ConfigurationSpec, _Mapping]] = ...) -> None: ...

class ReleaseType(_message.Message):
    __slots__ = ["configuration", "revisions", "rollout_percent"]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_PERCENT_FIELD_NUMBER: _ClassVar[int]
    configuration: ConfigurationSpec
    revisions: _containers.RepeatedScalarFieldContainer[str]
    rollout_percent: int
    def __init__(self, revisions: _Optional[_Iterable[str]] = ..., rollout_percent: _Optional[int] = ..., configuration: _Optional[_Union[ConfigurationSpec, _Mapping]] = ...) -> None: ...

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
    __slots__ = ["build_name", "build_ref", "concurrency_model", "container", "generation", "revision_spec", "serving_state"]
    BUILD_NAME_FIELD_NUMBER: _ClassVar[int]
    BUILD_REF_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_MODEL_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    REVISION_SPEC_FIELD_NUMBER: _ClassVar[int]
    SERVING_STATE_FIELD_NUMBER: _ClassVar[int]
    build_name: str
    build_ref: _meta_pb2.RawJSON
    concurrency_model: str
    container: _core_pb2.Container
    generation: int
    revision_spec: _serving_pb2.RevisionSpec
    serving_state: str
    def __init__(self, revision_spec: _Optional[_Union[_serving_pb2.RevisionSpec, _Mapping]] = ..., generation: _Optional[int] = ..., serving_state: _Optional[str] = ..., concurrency_model: _Optional[str] = ..., build_name: _Optional[str] = ..., build_ref: _Optional[_Union[_meta_pb2.RawJSON, _Mapping]] = ..., container: _Optional[_Union[_core_pb2.Container, _Mapping]] = ...) -> None: ...

class RevisionStatus(_message.Message):
    __slots__ = ["image_digest", "revision_status", "service_name"]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    REVISION_STATUS_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    image_digest: str
    revision_status: _serving_pb2.RevisionStatus
    service_name: str
    def __init__(self, revision_status: _Optional[_Union[_serving_pb2.RevisionStatus, _Mapping]] = ..., image_digest: _Optional[str] = ..., service_name: _Optional[str] = ...) -> None: ...

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
    __slots__ = ["generation", "traffic"]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    generation: int
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    def __init__(self, generation: _Optional[int] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class RouteStatus(_message.Message):
    __slots__ = ["address", "annotations", "conditions", "domain", "domain_internal", "observed_generation", "traffic", "url"]
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
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_INTERNAL_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    address: Addressable
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    domain: str
    domain_internal: str
    observed_generation: int
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    url: str
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., url: _Optional[str] = ..., address: _Optional[_Union[Addressable, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ..., domain: _Optional[str] = ..., domain_internal: _Optional[str] = ...) -> None: ...

class RunLatestType(_message.Message):
    __slots__ = ["configuration"]
    CONFIGURATION_FIELD_NUMBER: _ClassVar[int]
    configuration: ConfigurationSpec
    def __init__(self, configuration: _Optional[_Union[ConfigurationSpec, _Mapping]] = ...) -> None: ...

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
    __slots__ = ["build", "generation", "manual", "pinned", "release", "revision_template", "run_latest", "template", "traffic"]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    MANUAL_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    REVISION_TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    RUN_LATEST_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    build: _meta_pb2.RawJSON
    generation: int
    manual: ManualType
    pinned: PinnedType
    release: ReleaseType
    revision_template: RevisionTemplateSpec
    run_latest: RunLatestType
    template: RevisionTemplateSpec
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    def __init__(self, generation: _Optional[int] = ..., run_latest: _Optional[_Union[RunLatestType, _Mapping]] = ..., pinned: _Optional[_Union[PinnedType, _Mapping]] = ..., manual: _Optional[_Union[ManualType, _Mapping]] = ..., release: _Optional[_Union[ReleaseType, _Mapping]] = ..., build: _Optional[_Union[_meta_pb2.RawJSON, _Mapping]] = ..., revision_template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ..., template: _Optional[_Union[RevisionTemplateSpec, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ...) -> None: ...

class ServiceStatus(_message.Message):
    __slots__ = ["address", "annotations", "conditions", "domain", "domain_internal", "latest_created_revision_name", "latest_ready_revision_name", "observed_generation", "traffic", "url"]
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
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    DOMAIN_INTERNAL_FIELD_NUMBER: _ClassVar[int]
    LATEST_CREATED_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    LATEST_READY_REVISION_NAME_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    address: Addressable
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    domain: str
    domain_internal: str
    latest_created_revision_name: str
    latest_ready_revision_name: str
    observed_generation: int
    traffic: _containers.RepeatedCompositeFieldContainer[TrafficTarget]
    url: str
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., latest_created_revision_name: _Optional[str] = ..., latest_ready_revision_name: _Optional[str] = ..., url: _Optional[str] = ..., address: _Optional[_Union[Addressable, _Mapping]] = ..., traffic: _Optional[_Iterable[_Union[TrafficTarget, _Mapping]]] = ..., domain: _Optional[str] = ..., domain_internal: _Optional[str] = ...) -> None: ...

class TrafficTarget(_message.Message):
    __slots__ = ["name", "traffic_target"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_TARGET_FIELD_NUMBER: _ClassVar[int]
    name: str
    traffic_target: _serving_pb2.TrafficTarget
    def __init__(self, traffic_target: _Optional[_Union[_serving_pb2.TrafficTarget, _Mapping]] = ..., name: _Optional[str] = ...) -> None: ...
