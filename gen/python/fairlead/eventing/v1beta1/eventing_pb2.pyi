from buf.validate import validate_pb2 as _validate_pb2
from fairlead.eventing.v1 import eventing_pb2 as _eventing_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Broker(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _eventing_pb2.BrokerSpec
    status: _eventing_pb2.BrokerStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_eventing_pb2.BrokerSpec, _Mapping]] = ..., status: _Optional[_Union[_eventing_pb2.BrokerStatus, _Mapping]] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: _eventing_pb2.TriggerSpec
    status: _eventing_pb2.TriggerStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[_eventing_pb2.TriggerSpec, _Mapping]] = ..., status: _Optional[_Union[_eventing_pb2.TriggerStatus, _Mapping]] = ...) -> None: ...
