from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from fairlead.serving.v1 import serving_pb2 as _serving_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Configuration(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _serving_pb2.ConfigurationSpec
    status: _serving_pb2.ConfigurationStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_serving_pb2.ConfigurationSpec, _Mapping]] = ..., status: _Optional[_Union[_serving_pb2.ConfigurationStatus, _Mapping]] = ...) -> None: ...

class Revision(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _serving_pb2.RevisionSpec
    status: _serving_pb2.RevisionStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_serving_pb2.RevisionSpec, _Mapping]] = ..., status: _Optional[_Union[_serving_pb2.RevisionStatus, _Mapping]] = ...) -> None: ...

class Route(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _serving_pb2.RouteSpec
    status: _serving_pb2.RouteStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_serving_pb2.RouteSpec, _Mapping]] = ..., status: _Optional[_Union[_serving_pb2.RouteStatus, _Mapping]] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _serving_pb2.ServiceSpec
    status: _serving_pb2.ServiceStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_serving_pb2.ServiceSpec, _Mapping]] = ..., status: _Optional[_Union[_serving_pb2.ServiceStatus, _Mapping]] = ...) -> None: ...
