from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BrokerConfig(_message.Message):
    __slots__ = ["name", "namespace", "triggers", "uid"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TRIGGERS_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    name: str
    namespace: str
    triggers: _containers.RepeatedCompositeFieldContainer[TriggerConfig]
    uid: str
    def __init__(self, uid: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., triggers: _Optional[_Iterable[_Union[TriggerConfig, _Mapping]]] = ...) -> None: ...

class DispatchState(_message.Message):
    __slots__ = ["delivery_error", "error", "pending", "ready", "uid"]
    DELIVERY_ERROR_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    delivery_error: str
    error: str
    pending: int
    ready: bool
    uid: str
    def __init__(self, uid: _Optional[str] = ..., ready: bool = ..., error: _Optional[str] = ..., delivery_error: _Optional[str] = ..., pending: _Optional[int] = ...) -> None: ...

class DispatcherServiceSyncRequest(_message.Message):
    __slots__ = ["dispatcher", "states", "version"]
    DISPATCHER_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    dispatcher: str
    states: _containers.RepeatedCompositeFieldContainer[DispatchState]
    version: int
    def __init__(self, dispatcher: _Optional[str] = ..., version: _Optional[int] = ..., states: _Optional[_Iterable[_Union[DispatchState, _Mapping]]] = ...) -> None: ...

class DispatcherServiceSyncResponse(_message.Message):
    __slots__ = ["brokers", "version"]
    BROKERS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    brokers: _containers.RepeatedCompositeFieldContainer[BrokerConfig]
    version: int
    def __init__(self, version: _Optional[int] = ..., brokers: _Optional[_Iterable[_Union[BrokerConfig, _Mapping]]] = ...) -> None: ...

class TriggerConfig(_message.Message):
    __slots__ = ["attributes", "backoff_delay_ms", "backoff_policy", "dead_letter_sink_uri", "name", "retry", "subscriber_uri", "timeout_ms", "uid"]
    class AttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_POLICY_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_SINK_URI_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_URI_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.ScalarMap[str, str]
    backoff_delay_ms: int
    backoff_policy: str
    dead_letter_sink_uri: str
    name: str
    retry: int
    subscriber_uri: str
    timeout_ms: int
    uid: str
    def __init__(self, uid: _Optional[str] = ..., name: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., subscriber_uri: _Optional[str] = ..., dead_letter_sink_uri: _Optional[str] = ..., retry: _Optional[int] = ..., backoff_policy: _Optional[str] = ..., backoff_delay_ms: _Optional[int] = ..., timeout_ms: _Optional[int] = ...) -> None: ...
