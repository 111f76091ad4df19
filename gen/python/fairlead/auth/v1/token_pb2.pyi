from buf.validate import validate_pb2 as _validate_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExtraValue(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[str]] = ...) -> None: ...

class IssueForServiceAccountRequest(_message.Message):
    __slots__ = ["audiences", "expiration_seconds", "name", "namespace"]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    expiration_seconds: int
    name: str
    namespace: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., expiration_seconds: _Optional[int] = ...) -> None: ...

class IssueForServiceAccountResponse(_message.Message):
    __slots__ = ["expiration_timestamp", "token"]
    EXPIRATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    expiration_timestamp: _timestamp_pb2.Timestamp
    token: str
    def __init__(self, token: _Optional[str] = ..., expiration_timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IssueRequest(_message.Message):
    __slots__ = ["audiences", "expiration_seconds", "groups", "user"]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    expiration_seconds: int
    groups: _containers.RepeatedScalarFieldContainer[str]
    user: str
    def __init__(self, user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., audiences: _Optional[_Iterable[str]] = ..., expiration_seconds: _Optional[int] = ...) -> None: ...

class IssueResponse(_message.Message):
    __slots__ = ["expiration_timestamp", "id", "token"]
    EXPIRATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    expiration_timestamp: _timestamp_pb2.Timestamp
    id: str
    token: str
    def __init__(self, token: _Optional[str] = ..., id: _Optional[str] = ..., expiration_timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class KeysRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class KeysResponse(_message.Message):
    __slots__ = ["issuer", "keys", "url"]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    issuer: str
    keys: _containers.RepeatedCompositeFieldContainer[PublicKey]
    url: str
    def __init__(self, issuer: _Optional[str] = ..., url: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[PublicKey, _Mapping]]] = ...) -> None: ...

class KubeconfigForServiceAccountRequest(_message.Message):
    __slots__ = ["expiration_seconds", "name", "namespace", "target"]
    EXPIRATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    expiration_seconds: int
    name: str
    namespace: str
    target: str
    def __init__(self, namespace: _Optional[str] = ..., name: _Optional[str] = ..., target: _Optional[str] = ..., expiration_seconds: _Optional[int] = ...) -> None: ...

class KubeconfigForServiceAccountResponse(_message.Message):
    __slots__ = ["expiration_timestamp", "kubeconfig"]
    EXPIRATION_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    KUBECONFIG_FIELD_NUMBER: _ClassVar[int]
    expiration_timestamp: _timestamp_pb2.Timestamp
    kubeconfig: str
    def __init__(self, kubeconfig: _Optional[str] = ..., expiration_timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class KubeconfigRequest(_message.Message):
    __slots__ = ["expiration_seconds", "groups", "namespace", "user"]
    EXPIRATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    expiration_seconds: int
    groups: _containers.RepeatedScalarFieldContainer[str]
    namespace: str
    user: str
    def __init__(self, user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., expiration_seconds: _Optional[int] = ..., namespace: _Optional[str] = ...) -> None: ...

class KubeconfigResponse(_message.Message):
    __slots__ = ["kubeconfig"]
    KUBECONFIG_FIELD_NUMBER: _ClassVar[int]
    kubeconfig: str
    def __init__(self, kubeconfig: _Optional[str] = ...) -> None: ...

class PublicKey(_message.Message):
    __slots__ = ["algorithm", "ed25519", "id"]
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    ED25519_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    algorithm: str
    ed25519: bytes
    id: str
    def __init__(self, id: _Optional[str] = ..., algorithm: _Optional[str] = ..., ed25519: _Optional[bytes] = ...) -> None: ...

class RevokeRequest(_message.Message):
    __slots__ = ["id"]
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RevokeResponse(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class RotateKeysRequest(_message.Message):
    __slots__ = ["drop_previous"]
    DROP_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    drop_previous: bool
    def __init__(self, drop_previous: bool = ...) -> None: ...

class RotateKeysResponse(_message.Message):
    __slots__ = ["key_id", "signs_from"]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNS_FROM_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    signs_from: _timestamp_pb2.Timestamp
    def __init__(self, key_id: _Optional[str] = ..., signs_from: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignInIssuer(_message.Message):
    __slots__ = ["audiences", "certificate_authority", "url"]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    audiences: _containers.RepeatedScalarFieldContainer[str]
    certificate_authority: str
    url: str
    def __init__(self, url: _Optional[str] = ..., audiences: _Optional[_Iterable[str]] = ..., certificate_authority: _Optional[str] = ...) -> None: ...

class SignInRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class SignInResponse(_message.Message):
    __slots__ = ["certificate_authority", "issuers", "url"]
    CERTIFICATE_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    ISSUERS_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    certificate_authority: bytes
    issuers: _containers.RepeatedCompositeFieldContainer[SignInIssuer]
    url: str
    def __init__(self, url: _Optional[str] = ..., certificate_authority: _Optional[bytes] = ..., issuers: _Optional[_Iterable[_Union[SignInIssuer, _Mapping]]] = ...) -> None: ...

class WhoAmIRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class WhoAmIResponse(_message.Message):
    __slots__ = ["extra", "groups", "source", "token_id", "uid", "user"]
    class ExtraEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: ExtraValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ExtraValue, _Mapping]] = ...) -> None: ...
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    extra: _containers.MessageMap[str, ExtraValue]
    groups: _containers.RepeatedScalarFieldContainer[str]
    source: str
    token_id: str
    uid: str
    user: str
    def __init__(self, user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., token_id: _Optional[str] = ..., uid: _Optional[str] = ..., extra: _Optional[_Mapping[str, ExtraValue]] = ..., source: _Optional[str] = ...) -> None: ...
