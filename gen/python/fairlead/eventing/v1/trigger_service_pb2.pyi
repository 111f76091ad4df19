from buf.validate import validate_pb2 as _validate_pb2
from fairlead.eventing.v1 import eventing_pb2 as _eventing_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import requests_pb2 as _requests_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TriggerServiceCreateRequest(_message.Message):
    __slots__ = ["dry_run", "field_manager", "field_validation", "namespace", "object"]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FIELD_MANAGER_FIELD_NUMBER: _ClassVar[int]
    FIELD_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    dry_run: _containers.RepeatedScalarFieldContainer[str]
    field_manager: str
    field_validation: str
    namespace: str
    object: _eventing_pb2.Trigger
    def __init__(self, namespace: _Optional[str] = ..., object: _Optional[_Union[_eventing_pb2.Trigger, _Mapping]] = ..., dry_run: _Optional[_Iterable[str]] = ..., field_manager: _Optional[str] = ..., field_validation: _Optional[str] = ...) -> None: ...

class TriggerServiceHistoryResponse(_message.Message):
    __slots__ = ["versions"]
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[TriggerServiceVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[TriggerServiceVersion, _Mapping]]] = ...) -> None: ...

class TriggerServiceListResponse(_message.Message):
    __slots__ = ["items", "metadata"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[_eventing_pb2.Trigger]
    metadata: _meta_pb2.ListMeta
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ListMeta, _Mapping]] = ..., items: _Optional[_Iterable[_Union[_eventing_pb2.Trigger, _Mapping]]] = ...) -> None: ...

class TriggerServiceUpdateRequest(_message.Message):
    __slots__ = ["dry_run", "field_manager", "field_validation", "name", "namespace", "object"]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FIELD_MANAGER_FIELD_NUMBER: _ClassVar[int]
    FIELD_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    dry_run: _containers.RepeatedScalarFieldContainer[str]
    field_manager: str
    field_validation: str
    name: str
    namespace: str
    object: _eventing_pb2.Trigger
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., object: _Optional[_Union[_eventing_pb2.Trigger, _Mapping]] = ..., dry_run: _Optional[_Iterable[str]] = ..., field_manager: _Optional[str] = ..., field_validation: _Optional[str] = ...) -> None: ...

class TriggerServiceUpdateStatusRequest(_message.Message):
    __slots__ = ["dry_run", "field_manager", "field_validation", "name", "namespace", "object"]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FIELD_MANAGER_FIELD_NUMBER: _ClassVar[int]
    FIELD_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    dry_run: _containers.RepeatedScalarFieldContainer[str]
    field_manager: str
    field_validation: str
    name: str
    namespace: str
    object: _eventing_pb2.Trigger
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., object: _Optional[_Union[_eventing_pb2.Trigger, _Mapping]] = ..., dry_run: _Optional[_Iterable[str]] = ..., field_manager: _Optional[str] = ..., field_validation: _Optional[str] = ...) -> None: ...

class TriggerServiceVersion(_message.Message):
    __slots__ = ["generation", "object", "replaced"]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    REPLACED_FIELD_NUMBER: _ClassVar[int]
    generation: int
    object: _eventing_pb2.Trigger
    replaced: _timestamp_pb2.Timestamp
    def __init__(self, generation: _Optional[int] = ..., replaced: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., object: _Optional[_Union[_eventing_pb2.Trigger, _Mapping]] = ...) -> None: ...

class TriggerServiceWatchResponse(_message.Message):
    __slots__ = ["object", "type"]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    object: _eventing_pb2.Trigger
    type: str
    def __init__(self, type: _Optional[str] = ..., object: _Optional[_Union[_eventing_pb2.Trigger, _Mapping]] = ...) -> None: ...
