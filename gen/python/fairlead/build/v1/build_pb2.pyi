from buf.validate import validate_pb2 as _validate_pb2
from fairlead.core.v1 import core_pb2 as _core_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ArgumentSpec(_message.Message):
    __slots__ = ["name", "value"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Build(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: BuildSpec
    status: BuildStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[BuildSpec, _Mapping]] = ..., status: _Optional[_Union[BuildStatus, _Mapping]] = ...) -> None: ...

class BuildSpec(_message.Message):
    __slots__ = ["affinity", "node_selector", "service_account_name", "source", "status", "steps", "template", "timeout", "volumes"]
    class NodeSelectorEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AFFINITY_FIELD_NUMBER: _ClassVar[int]
    NODE_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ACCOUNT_NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    affinity: _core_pb2.Affinity
    node_selector: _containers.ScalarMap[str, str]
    service_account_name: str
    source: SourceSpec
    status: str
    steps: _containers.RepeatedCompositeFieldContainer[_core_pb2.Container]
    template: TemplateInstantiationSpec
    timeout: str
    volumes: _containers.RepeatedCompositeFieldContainer[_core_pb2.Volume]
    def __init__(self, source: _Optional[_Union[SourceSpec, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[_core_pb2.Container, _Mapping]]] = ..., volumes: _Optional[_Iterable[_Union[_core_pb2.Volume, _Mapping]]] = ..., service_account_name: _Optional[str] = ..., node_selector: _Optional[_Mapping[str, str]] = ..., affinity: _Optional[_Union[_core_pb2.Affinity, _Mapping]] = ..., timeout: _Optional[str] = ..., status: _Optional[str] = ..., template: _Optional[_Union[TemplateInstantiationSpec, _Mapping]] = ...) -> None: ...

class BuildStatus(_message.Message):
    __slots__ = ["builder", "cluster", "completion_time", "conditions", "observed_generation", "start_time", "step_states", "steps_completed"]
    BUILDER_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    COMPLETION_TIME_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STEPS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_STATES_FIELD_NUMBER: _ClassVar[int]
    builder: str
    cluster: ClusterStatus
    completion_time: _timestamp_pb2.Timestamp
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    observed_generation: int
    start_time: _timestamp_pb2.Timestamp
    step_states: _containers.RepeatedCompositeFieldContainer[_core_pb2.ContainerState]
    steps_completed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., builder: _Optional[str] = ..., cluster: _Optional[_Union[ClusterStatus, _Mapping]] = ..., start_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., completion_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., step_states: _Optional[_Iterable[_Union[_core_pb2.ContainerState, _Mapping]]] = ..., steps_completed: _Optional[_Iterable[str]] = ...) -> None: ...

class ClusterStatus(_message.Message):
    __slots__ = ["namespace", "pod_name"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    POD_NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    pod_name: str
    def __init__(self, namespace: _Optional[str] = ..., pod_name: _Optional[str] = ...) -> None: ...

class GitSource(_message.Message):
    __slots__ = ["revision", "url"]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    revision: str
    url: str
    def __init__(self, url: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class SourceSpec(_message.Message):
    __slots__ = ["git", "name", "sub_path"]
    GIT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SUB_PATH_FIELD_NUMBER: _ClassVar[int]
    git: GitSource
    name: str
    sub_path: str
    def __init__(self, git: _Optional[_Union[GitSource, _Mapping]] = ..., sub_path: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class TemplateInstantiationSpec(_message.Message):
    __slots__ = ["arguments", "env", "kind", "name"]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    arguments: _containers.RepeatedCompositeFieldContainer[ArgumentSpec]
    env: _containers.RepeatedCompositeFieldContainer[_core_pb2.EnvVar]
    kind: str
    name: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., arguments: _Optional[_Iterable[_Union[ArgumentSpec, _Mapping]]] = ..., env: _Optional[_Iterable[_Union[_core_pb2.EnvVar, _Mapping]]] = ...) -> None: ...
