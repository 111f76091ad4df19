from buf.validate import validate_pb2 as _validate_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Addressable(_message.Message):
    __slots__ = ["name", "url"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    name: str
    url: str
    def __init__(self, name: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class Broker(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: BrokerSpec
    status: BrokerStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[BrokerSpec, _Mapping]] = ..., status: _Optional[_Union[BrokerStatus, _Mapping]] = ...) -> None: ...

class BrokerSpec(_message.Message):
    __slots__ = ["config", "delivery"]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    config: KReference
    delivery: DeliverySpec
    def __init__(self, config: _Optional[_Union[KReference, _Mapping]] = ..., delivery: _Optional[_Union[DeliverySpec, _Mapping]] = ...) -> None: ...

class BrokerStatus(_message.Message):
    __slots__ = ["address", "annotations", "conditions", "dead_letter_sink_uri", "observed_generation"]
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
    DEAD_LETTER_SINK_URI_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    address: Addressable
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    dead_letter_sink_uri: str
    observed_generation: int
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., address: _Optional[_Union[Addressable, _Mapping]] = ..., dead_letter_sink_uri: _Optional[str] = ...) -> None: ...

class DeliverySpec(_message.Message):
    __slots__ = ["backoff_delay", "backoff_policy", "dead_letter_sink", "retry", "timeout"]
    BACKOFF_DELAY_FIELD_NUMBER: _ClassVar[int]
    BACKOFF_POLICY_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_SINK_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    backoff_delay: str
    backoff_policy: str
    dead_letter_sink: Destination
    retry: int
    timeout: str
    def __init__(self, retry: _Optional[int] = ..., backoff_policy: _Optional[str] = ..., backoff_delay: _Optional[str] = ..., timeout: _Optional[str] = ..., dead_letter_sink: _Optional[_Union[Destination, _Mapping]] = ...) -> None: ...

class Destination(_message.Message):
    __slots__ = ["ref", "uri"]
    REF_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    ref: KReference
    uri: str
    def __init__(self, ref: _Optional[_Union[KReference, _Mapping]] = ..., uri: _Optional[str] = ...) -> None: ...

class KReference(_message.Message):
    __slots__ = ["api_version", "kind", "name", "namespace"]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    api_version: str
    kind: str
    name: str
    namespace: str
    def __init__(self, kind: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., api_version: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: TriggerSpec
    status: TriggerStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[TriggerSpec, _Mapping]] = ..., status: _Optional[_Union[TriggerStatus, _Mapping]] = ...) -> None: ...

class TriggerFilter(_message.Message):
    __slots__ = ["attributes"]
    class AttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TriggerSpec(_message.Message):
    __slots__ = ["broker", "delivery", "filter", "subscriber"]
    BROKER_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_FIELD_NUMBER: _ClassVar[int]
    broker: str
    delivery: DeliverySpec
    filter: TriggerFilter
    subscriber: Destination
    def __init__(self, broker: _Optional[str] = ..., filter: _Optional[_Union[TriggerFilter, _Mapping]] = ..., subscriber: _Optional[_Union[Destination, _Mapping]] = ..., delivery: _Optional[_Union[DeliverySpec, _Mapping]] = ...) -> None: ...

class TriggerStatus(_message.Message):
    __slots__ = ["annotations", "conditions", "dead_letter_sink_uri", "observed_generation", "subscriber_uri"]
    class AnnotationsEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ANNOTATIONS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_SINK_URI_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_GENERATION_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_URI_FIELD_NUMBER: _ClassVar[int]
    annotations: _containers.ScalarMap[str, str]
    conditions: _containers.RepeatedCompositeFieldContainer[_meta_pb2.Condition]
    dead_letter_sink_uri: str
    observed_generation: int
    subscriber_uri: str
    def __init__(self, observed_generation: _Optional[int] = ..., conditions: _Optional[_Iterable[_Union[_meta_pb2.Condition, _Mapping]]] = ..., annotations: _Optional[_Mapping[str, str]] = ..., subscriber_uri: _Optional[str] = ..., dead_letter_sink_uri: _Optional[str] = ...) -> None: ...
