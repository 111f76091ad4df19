from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

ACCESS_FIELD_NUMBER: _ClassVar[int]
ALWAYS_FIELD_NUMBER: _ClassVar[int]
ATOMIC_FIELD_NUMBER: _ClassVar[int]
DESCRIPTOR: _descriptor.FileDescriptor
FORMAT_DURATION: Format
FORMAT_FIELD_NUMBER: _ClassVar[int]
FORMAT_QUANTITY: Format
FORMAT_QUANTITY_MAP: Format
FORMAT_UNSPECIFIED: Format
IMMUTABLE_FIELD_NUMBER: _ClassVar[int]
INLINE_FIELD_NUMBER: _ClassVar[int]
KIND_FIELD_NUMBER: _ClassVar[int]
LIST_MAP_KEYS_FIELD_NUMBER: _ClassVar[int]
MERGE_ATOMIC: Merge
MERGE_FIELD_NUMBER: _ClassVar[int]
MERGE_SET: Merge
MERGE_UNSPECIFIED: Merge
SCOPE_CLUSTER: Scope
SCOPE_NAMESPACED: Scope
SCOPE_UNSPECIFIED: Scope
access: _descriptor.FieldDescriptor
always: _descriptor.FieldDescriptor
atomic: _descriptor.FieldDescriptor
format: _descriptor.FieldDescriptor
immutable: _descriptor.FieldDescriptor
inline: _descriptor.FieldDescriptor
kind: _descriptor.FieldDescriptor
list_map_keys: _descriptor.FieldDescriptor
merge: _descriptor.FieldDescriptor

class Access(_message.Message):
    __slots__ = ["authenticated", "group", "open", "resource", "verb"]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    VERB_FIELD_NUMBER: _ClassVar[int]
    authenticated: bool
    group: str
    open: bool
    resource: str
    verb: str
    def __init__(self, group: _Optional[str] = ..., resource: _Optional[str] = ..., verb: _Optional[str] = ..., authenticated: bool = ..., open: bool = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ["json_path", "name", "priority", "type"]
    JSON_PATH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    json_path: str
    name: str
    priority: int
    type: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., json_path: _Optional[str] = ..., priority: _Optional[int] = ...) -> None: ...

class Kind(_message.Message):
    __slots__ = ["categories", "columns", "encrypted", "group", "kind", "plural", "scope", "short_names", "singular", "stored_version", "version"]
    CATEGORIES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PLURAL_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SHORT_NAMES_FIELD_NUMBER: _ClassVar[int]
    SINGULAR_FIELD_NUMBER: _ClassVar[int]
    STORED_VERSION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    categories: _containers.RepeatedScalarFieldContainer[str]
    columns: _containers.RepeatedCompositeFieldContainer[Column]
    encrypted: bool
    group: str
    kind: str
    plural: str
    scope: Scope
    short_names: _containers.RepeatedScalarFieldContainer[str]
    singular: str
    stored_version: str
    version: str
    def __init__(self, group: _Optional[str] = ..., version: _Optional[str] = ..., kind: _Optional[str] = ..., plural: _Optional[str] = ..., singular: _Optional[str] = ..., short_names: _Optional[_Iterable[str]] = ..., categories: _Optional[_Iterable[str]] = ..., scope: _Optional[_Union[Scope, str]] = ..., columns: _Optional[_Iterable[_Union[Column, _Mapping]]] = ..., encrypted: bool = ..., stored_version: _Optional[str] = ...) -> None: ...

class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Format(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []

class Merge(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = []
