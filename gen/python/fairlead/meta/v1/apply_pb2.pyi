from buf.validate import validate_pb2 as _validate_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AppliedDocument(_message.Message):
    __slots__ = ["action", "api_version", "index", "kind", "name", "namespace", "resource_version"]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    action: str
    api_version: str
    index: int
    kind: str
    name: str
    namespace: str
    resource_version: str
    def __init__(self, index: _Optional[int] = ..., api_version: _Optional[str] = ..., kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., action: _Optional[str] = ..., resource_version: _Optional[str] = ...) -> None: ...

class ApplyRequest(_message.Message):
    __slots__ = ["documents", "dry_run", "field_manager", "force", "namespace"]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FIELD_MANAGER_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    documents: bytes
    dry_run: _containers.RepeatedScalarFieldContainer[str]
    field_manager: str
    force: bool
    namespace: str
    def __init__(self, documents: _Optional[bytes] = ..., namespace: _Optional[str] = ..., dry_run: _Optional[_Iterable[str]] = ..., field_manager: _Optional[str] = ..., force: bool = ...) -> None: ...

class ApplyResponse(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[AppliedDocument]
    def __init__(self, items: _Optional[_Iterable[_Union[AppliedDocument, _Mapping]]] = ...) -> None: ...
