from fairlead.auth.v1 import auth_pb2 as _auth_pb2
from fairlead.auth.v1 import token_pb2 as _token_pb2
from fairlead.meta.v1 import options_pb2 as _options_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReviewLocalSubjectRequest(_message.Message):
    __slots__ = ["namespace", "review", "subject"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    review: ReviewRequest
    subject: ReviewedSubject
    def __init__(self, namespace: _Optional[str] = ..., subject: _Optional[_Union[ReviewedSubject, _Mapping]] = ..., review: _Optional[_Union[ReviewRequest, _Mapping]] = ...) -> None: ...

class ReviewLocalSubjectResponse(_message.Message):
    __slots__ = ["allowed", "reason"]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    reason: str
    def __init__(self, allowed: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ReviewRequest(_message.Message):
    __slots__ = ["group", "name", "namespace", "path", "resource", "subresource", "verb"]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SUBRESOURCE_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    group: str
    name: str
    namespace: str
    path: str
    resource: str
    subresource: str
    verb: str
    def __init__(self, verb: _Optional[str] = ..., group: _Optional[str] = ..., resource: _Optional[str] = ..., subresource: _Optional[str] = ..., namespace: _Optional[str] = ..., name: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class ReviewResponse(_message.Message):
    __slots__ = ["allowed", "reason"]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    reason: str
    def __init__(self, allowed: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ReviewSubjectRequest(_message.Message):
    __slots__ = ["review", "subject"]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    review: ReviewRequest
    subject: ReviewedSubject
    def __init__(self, subject: _Optional[_Union[ReviewedSubject, _Mapping]] = ..., review: _Optional[_Union[ReviewRequest, _Mapping]] = ...) -> None: ...

class ReviewSubjectResponse(_message.Message):
    __slots__ = ["allowed", "reason"]
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    reason: str
    def __init__(self, allowed: bool = ..., reason: _Optional[str] = ...) -> None: ...

class ReviewedSubject(_message.Message):
    __slots__ = ["extra", "groups", "uid", "user"]
    class ExtraEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _token_pb2.ExtraValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_token_pb2.ExtraValue, _Mapping]] = ...) -> None: ...
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    extra: _containers.MessageMap[str, _token_pb2.ExtraValue]
    groups: _containers.RepeatedScalarFieldContainer[str]
    uid: str
    user: str
    def __init__(self, user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., uid: _Optional[str] = ..., extra: _Optional[_Mapping[str, _token_pb2.ExtraValue]] = ...) -> None: ...

class RulesRequest(_message.Message):
    __slots__ = ["namespace"]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    def __init__(self, namespace: _Optional[str] = ...) -> None: ...

class RulesResponse(_message.Message):
    __slots__ = ["incomplete", "rules"]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    incomplete: bool
    rules: _containers.RepeatedCompositeFieldContainer[_auth_pb2.PolicyRule]
    def __init__(self, rules: _Optional[_Iterable[_Union[_auth_pb2.PolicyRule, _Mapping]]] = ..., incomplete: bool = ...) -> None: ...
