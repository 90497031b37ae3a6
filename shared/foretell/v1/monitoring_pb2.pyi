from foretell.v1 import common_pb2 as _common_pb2
from foretell.v1 import prediction_pb2 as _prediction_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Resolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOLUTION_UNSPECIFIED: _ClassVar[Resolution]
    RESOLUTION_CONFIRMED: _ClassVar[Resolution]
    RESOLUTION_DISCARDED: _ClassVar[Resolution]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_DRIFT: _ClassVar[EventKind]
    EVENT_KIND_BIAS: _ClassVar[EventKind]
    EVENT_KIND_COVERAGE: _ClassVar[EventKind]
    EVENT_KIND_ANOMALY: _ClassVar[EventKind]
    EVENT_KIND_REGRESSION: _ClassVar[EventKind]
    EVENT_KIND_SHADOW: _ClassVar[EventKind]
RESOLUTION_UNSPECIFIED: Resolution
RESOLUTION_CONFIRMED: Resolution
RESOLUTION_DISCARDED: Resolution
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_DRIFT: EventKind
EVENT_KIND_BIAS: EventKind
EVENT_KIND_COVERAGE: EventKind
EVENT_KIND_ANOMALY: EventKind
EVENT_KIND_REGRESSION: EventKind
EVENT_KIND_SHADOW: EventKind

class ListAnomaliesRequest(_message.Message):
    __slots__ = ("workload", "page_size", "page_token")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workload: str
    page_size: int
    page_token: str
    def __init__(self, workload: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListAnomaliesResponse(_message.Message):
    __slots__ = ("anomalies", "next_page_token")
    ANOMALIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    anomalies: _containers.RepeatedCompositeFieldContainer[Anomaly]
    next_page_token: str
    def __init__(self, anomalies: _Optional[_Iterable[_Union[Anomaly, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Anomaly(_message.Message):
    __slots__ = ("workload", "observation_id", "observe_time", "source", "tag", "reason", "find_time", "features", "metrics")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIND_TIME_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    workload: str
    observation_id: str
    observe_time: _timestamp_pb2.Timestamp
    source: str
    tag: str
    reason: str
    find_time: _timestamp_pb2.Timestamp
    features: _containers.MessageMap[str, _common_pb2.Value]
    metrics: _containers.ScalarMap[str, float]
    def __init__(self, workload: _Optional[str] = ..., observation_id: _Optional[str] = ..., observe_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., source: _Optional[str] = ..., tag: _Optional[str] = ..., reason: _Optional[str] = ..., find_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., metrics: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ResolveAnomaliesRequest(_message.Message):
    __slots__ = ("workload", "observation_ids", "resolution", "reason", "author")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    OBSERVATION_IDS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    workload: str
    observation_ids: _containers.RepeatedScalarFieldContainer[str]
    resolution: Resolution
    reason: str
    author: str
    def __init__(self, workload: _Optional[str] = ..., observation_ids: _Optional[_Iterable[str]] = ..., resolution: _Optional[_Union[Resolution, str]] = ..., reason: _Optional[str] = ..., author: _Optional[str] = ...) -> None: ...

class ResolveAnomaliesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("workload", "kinds", "after_event_id", "last")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    workload: str
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    after_event_id: str
    last: int
    def __init__(self, workload: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., after_event_id: _Optional[str] = ..., last: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("id", "time", "workload", "kind", "metric", "group", "message", "numbers", "bundle_version", "recovered")
    class GroupEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NumbersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NUMBERS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    id: str
    time: _timestamp_pb2.Timestamp
    workload: str
    kind: EventKind
    metric: str
    group: _containers.ScalarMap[str, str]
    message: str
    numbers: _containers.ScalarMap[str, float]
    bundle_version: str
    recovered: bool
    def __init__(self, id: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., workload: _Optional[str] = ..., kind: _Optional[_Union[EventKind, str]] = ..., metric: _Optional[str] = ..., group: _Optional[_Mapping[str, str]] = ..., message: _Optional[str] = ..., numbers: _Optional[_Mapping[str, float]] = ..., bundle_version: _Optional[str] = ..., recovered: bool = ...) -> None: ...

class ListLiveScoresRequest(_message.Message):
    __slots__ = ("workload", "include_groups")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_GROUPS_FIELD_NUMBER: _ClassVar[int]
    workload: str
    include_groups: bool
    def __init__(self, workload: _Optional[str] = ..., include_groups: bool = ...) -> None: ...

class ListLiveScoresResponse(_message.Message):
    __slots__ = ("scores",)
    SCORES_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[LiveScore]
    def __init__(self, scores: _Optional[_Iterable[_Union[LiveScore, _Mapping]]] = ...) -> None: ...

class LiveScore(_message.Message):
    __slots__ = ("metric", "group", "bundle_version", "is_shadow", "outcome_count", "coverage", "median_ratio", "median_error", "crps", "alarms")
    class GroupEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METRIC_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_SHADOW_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_COUNT_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_ERROR_FIELD_NUMBER: _ClassVar[int]
    CRPS_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    group: _containers.ScalarMap[str, str]
    bundle_version: str
    is_shadow: bool
    outcome_count: int
    coverage: float
    median_ratio: float
    median_error: float
    crps: float
    alarms: _containers.RepeatedScalarFieldContainer[EventKind]
    def __init__(self, metric: _Optional[str] = ..., group: _Optional[_Mapping[str, str]] = ..., bundle_version: _Optional[str] = ..., is_shadow: bool = ..., outcome_count: _Optional[int] = ..., coverage: _Optional[float] = ..., median_ratio: _Optional[float] = ..., median_error: _Optional[float] = ..., crps: _Optional[float] = ..., alarms: _Optional[_Iterable[_Union[EventKind, str]]] = ...) -> None: ...

class ListRegressionsRequest(_message.Message):
    __slots__ = ("workload",)
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    workload: str
    def __init__(self, workload: _Optional[str] = ...) -> None: ...

class ListRegressionsResponse(_message.Message):
    __slots__ = ("regressions",)
    REGRESSIONS_FIELD_NUMBER: _ClassVar[int]
    regressions: _containers.RepeatedCompositeFieldContainer[Regression]
    def __init__(self, regressions: _Optional[_Iterable[_Union[Regression, _Mapping]]] = ...) -> None: ...

class Regression(_message.Message):
    __slots__ = ("metric", "group", "ratio", "since", "tag", "baseline_tag", "outcome_count", "baseline_count")
    class GroupEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METRIC_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    TAG_FIELD_NUMBER: _ClassVar[int]
    BASELINE_TAG_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_COUNT_FIELD_NUMBER: _ClassVar[int]
    BASELINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    metric: str
    group: _containers.ScalarMap[str, str]
    ratio: float
    since: _timestamp_pb2.Timestamp
    tag: str
    baseline_tag: str
    outcome_count: int
    baseline_count: int
    def __init__(self, metric: _Optional[str] = ..., group: _Optional[_Mapping[str, str]] = ..., ratio: _Optional[float] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., tag: _Optional[str] = ..., baseline_tag: _Optional[str] = ..., outcome_count: _Optional[int] = ..., baseline_count: _Optional[int] = ...) -> None: ...

class ReplayRequest(_message.Message):
    __slots__ = ("prediction_id",)
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    prediction_id: str
    def __init__(self, prediction_id: _Optional[str] = ...) -> None: ...

class ReplayResponse(_message.Message):
    __slots__ = ("request", "response", "answer_time", "corrections_number")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_TIME_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_NUMBER_FIELD_NUMBER: _ClassVar[int]
    request: _prediction_pb2.PredictRequest
    response: _prediction_pb2.PredictResponse
    answer_time: _timestamp_pb2.Timestamp
    corrections_number: int
    def __init__(self, request: _Optional[_Union[_prediction_pb2.PredictRequest, _Mapping]] = ..., response: _Optional[_Union[_prediction_pb2.PredictResponse, _Mapping]] = ..., answer_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., corrections_number: _Optional[int] = ...) -> None: ...
