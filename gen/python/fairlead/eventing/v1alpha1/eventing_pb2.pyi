from buf.validate import validate_pb2 as _validate_pb2
from fairlead.eventing.v1 import eventing_pb2 as _eventing_pb2
from fairlead.meta.v1 import meta_pb2 as _meta_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Addressable(_message.Message):
    __slots__ = ["addressable", "hostname"]
    ADDRESSABLE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    addressable: _eventing_pb2.Addressable
    hostname: str
    def __init__(self, addressable: _Optional[_Union[_eventing_pb2.Addressable, _Mapping]] = ..., hostname: _Optional[str] = ...) -> None: ...

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
    __slots__ = ["channel_template_spec", "config", "delivery"]
    CHANNEL_TEMPLATE_SPEC_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    channel_template_spec: _meta_pb2.RawJSON
    config: _eventing_pb2.KReference
    delivery: _eventing_pb2.DeliverySpec
    def __init__(self, channel_template_spec: _Optional[_Union[_meta_pb2.RawJSON, _Mapping]] = ..., config: _Optional[_Union[_eventing_pb2.KReference, _Mapping]] = ..., delivery: _Optional[_Union[_eventing_pb2.DeliverySpec, _Mapping]] = ...) -> None: ...

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

class SubscriberSpec(_message.Message):
    __slots__ = ["dns_name", "ref", "uri"]
    DNS_NAME_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    dns_name: str
    ref: _eventing_pb2.KReference
    uri: str
    def __init__(self, ref: _Optional[_Union[_eventing_pb2.KReference, _Mapping]] = ..., uri: _Optional[str] = ..., dns_name: _Optional[str] = ...) -> None: ...

class Trigger(_message.Message):
    __slots__ = ["metadata", "spec", "status"]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    metadata: _meta_pb2.ObjectMeta
    spec: TriggerSpec
    status: _eventing_pb2.TriggerStatus
    def __init__(self, metadata: _Optional[_Union[_meta_pb2.ObjectMeta, _Mapping]] = ..., spec: _Optional[_Union[TriggerSpec, _Mapping]] = ..., status: _Optional[_Union[_eventing_pb2.TriggerStatus, _Mapping]] = ...) -> None: ...

class TriggerFilter(_message.Message):
    __slots__ = ["attributes", "source_and_type"]
    class AttributesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_AND_TYPE_FIELD_NUMBER: _ClassVar[int]
    attributes: _containers.ScalarMap[str, str]
    source_and_type: TriggerFilterSourceAndType
    def __init__(self, source_and_type: _Optional[_Union[TriggerFilterSourceAndType, _Mapping]] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TriggerFilterSourceAndType(_message.Message):
    __slots__ = ["source", "type"]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    source: str
    type: str
    def __init__(self, type: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class TriggerSpec(_message.Message):
    __slots__ = ["broker", "delivery", "filter", "subscriber"]
    BROKER_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBER_FIELD_NUMBER: _ClassVar[int]
    broker: str
    delivery: _eventing_pb2.DeliverySpec
    filter: TriggerFilter
    subscriber: SubscriberSpec
    def __init__(self, broker: _Optional[str] = ..., filter: _Optional[_Union[TriggerFilter, _Mapping]] = ..., subscriber: _Optional[_Union[SubscriberSpec, _Mapping]] = ..., delivery: _Optional[_Union[_eventing_pb2.DeliverySpec, _Mapping]] = ...) -> None: ...
