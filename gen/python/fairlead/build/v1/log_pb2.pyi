from buf.validate import validate_pb2 as _validate_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class LogServiceReadRequest(_message.Message):
    __slots__ = ["follow", "name", "namespace", "step"]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    follow: bool
    name: str
    namespace: str
    step: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., step: _Optional[str] = ..., follow: bool = ...) -> None: ...

class LogServiceReadResponse(_message.Message):
    __slots__ = ["data", "step"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    step: str
    def __init__(self, step: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...
