from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_PACKED: _ClassVar[Encoding]
    ENCODING_RAW: _ClassVar[Encoding]

class Tier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIER_UNSPECIFIED: _ClassVar[Tier]
    TIER_REPEAT: _ClassVar[Tier]
    TIER_WARM: _ClassVar[Tier]
    TIER_FEW_SHOT: _ClassVar[Tier]
    TIER_COLD: _ClassVar[Tier]
ENCODING_UNSPECIFIED: Encoding
ENCODING_PACKED: Encoding
ENCODING_RAW: Encoding
TIER_UNSPECIFIED: Tier
TIER_REPEAT: Tier
TIER_WARM: Tier
TIER_FEW_SHOT: Tier
TIER_COLD: Tier

class Value(_message.Message):
    __slots__ = ("number", "text", "flag")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    number: float
    text: str
    flag: bool
    def __init__(self, number: _Optional[float] = ..., text: _Optional[str] = ..., flag: bool = ...) -> None: ...

class Column(_message.Message):
    __slots__ = ("name", "numbers", "texts", "flags", "validity")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    VALIDITY_FIELD_NUMBER: _ClassVar[int]
    name: str
    numbers: Numbers
    texts: Texts
    flags: Flags
    validity: bytes
    def __init__(self, name: _Optional[str] = ..., numbers: _Optional[_Union[Numbers, _Mapping]] = ..., texts: _Optional[_Union[Texts, _Mapping]] = ..., flags: _Optional[_Union[Flags, _Mapping]] = ..., validity: _Optional[bytes] = ...) -> None: ...

class Numbers(_message.Message):
    __slots__ = ("values", "raw")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    raw: bytes
    def __init__(self, values: _Optional[_Iterable[float]] = ..., raw: _Optional[bytes] = ...) -> None: ...

class Texts(_message.Message):
    __slots__ = ("dictionary", "indices", "raw_indices")
    DICTIONARY_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    RAW_INDICES_FIELD_NUMBER: _ClassVar[int]
    dictionary: _containers.RepeatedScalarFieldContainer[str]
    indices: _containers.RepeatedScalarFieldContainer[int]
    raw_indices: bytes
    def __init__(self, dictionary: _Optional[_Iterable[str]] = ..., indices: _Optional[_Iterable[int]] = ..., raw_indices: _Optional[bytes] = ...) -> None: ...

class Flags(_message.Message):
    __slots__ = ("values", "raw")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[bool]
    raw: bytes
    def __init__(self, values: _Optional[_Iterable[bool]] = ..., raw: _Optional[bytes] = ...) -> None: ...
