from foretell.v1 import common_pb2 as _common_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EffectKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EFFECT_KIND_UNSPECIFIED: _ClassVar[EffectKind]
    EFFECT_KIND_FACTOR: _ClassVar[EffectKind]
    EFFECT_KIND_ADDEND: _ClassVar[EffectKind]
EFFECT_KIND_UNSPECIFIED: EffectKind
EFFECT_KIND_FACTOR: EffectKind
EFFECT_KIND_ADDEND: EffectKind

class PredictRequest(_message.Message):
    __slots__ = ("correlation_id", "workload", "features", "options", "bundle_version")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    workload: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    options: ForecastOptions
    bundle_version: str
    def __init__(self, correlation_id: _Optional[str] = ..., workload: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., options: _Optional[_Union[ForecastOptions, _Mapping]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class ForecastOptions(_message.Message):
    __slots__ = ("metrics", "quantiles", "interval_level", "confidence_tolerance", "deadlines", "costs", "support_floor")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    DEADLINES_FIELD_NUMBER: _ClassVar[int]
    COSTS_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FLOOR_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedScalarFieldContainer[str]
    quantiles: _containers.RepeatedScalarFieldContainer[float]
    interval_level: float
    confidence_tolerance: float
    deadlines: _containers.RepeatedCompositeFieldContainer[DeadlineQuestion]
    costs: _containers.RepeatedCompositeFieldContainer[CostQuestion]
    support_floor: float
    def __init__(self, metrics: _Optional[_Iterable[str]] = ..., quantiles: _Optional[_Iterable[float]] = ..., interval_level: _Optional[float] = ..., confidence_tolerance: _Optional[float] = ..., deadlines: _Optional[_Iterable[_Union[DeadlineQuestion, _Mapping]]] = ..., costs: _Optional[_Iterable[_Union[CostQuestion, _Mapping]]] = ..., support_floor: _Optional[float] = ...) -> None: ...

class DeadlineQuestion(_message.Message):
    __slots__ = ("metric", "value")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    metric: str
    value: float
    def __init__(self, metric: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...

class CostQuestion(_message.Message):
    __slots__ = ("metric", "under_cost", "over_cost")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNDER_COST_FIELD_NUMBER: _ClassVar[int]
    OVER_COST_FIELD_NUMBER: _ClassVar[int]
    metric: str
    under_cost: float
    over_cost: float
    def __init__(self, metric: _Optional[str] = ..., under_cost: _Optional[float] = ..., over_cost: _Optional[float] = ...) -> None: ...

class PredictResponse(_message.Message):
    __slots__ = ("metrics", "provenance", "prediction_id")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[MetricForecast]
    provenance: Provenance
    prediction_id: str
    def __init__(self, metrics: _Optional[_Iterable[_Union[MetricForecast, _Mapping]]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., prediction_id: _Optional[str] = ...) -> None: ...

class MetricForecast(_message.Message):
    __slots__ = ("metric", "unit", "median", "interval", "quantiles", "confidence", "support", "abstained", "abstention_reason", "deadlines", "reservations")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    ABSTENTION_REASON_FIELD_NUMBER: _ClassVar[int]
    DEADLINES_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    median: float
    interval: Interval
    quantiles: _containers.RepeatedCompositeFieldContainer[Quantile]
    confidence: float
    support: float
    abstained: bool
    abstention_reason: str
    deadlines: _containers.RepeatedCompositeFieldContainer[DeadlineProbability]
    reservations: _containers.RepeatedCompositeFieldContainer[Reservation]
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., median: _Optional[float] = ..., interval: _Optional[_Union[Interval, _Mapping]] = ..., quantiles: _Optional[_Iterable[_Union[Quantile, _Mapping]]] = ..., confidence: _Optional[float] = ..., support: _Optional[float] = ..., abstained: bool = ..., abstention_reason: _Optional[str] = ..., deadlines: _Optional[_Iterable[_Union[DeadlineProbability, _Mapping]]] = ..., reservations: _Optional[_Iterable[_Union[Reservation, _Mapping]]] = ...) -> None: ...

class Interval(_message.Message):
    __slots__ = ("lower", "upper", "level")
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    lower: float
    upper: float
    level: float
    def __init__(self, lower: _Optional[float] = ..., upper: _Optional[float] = ..., level: _Optional[float] = ...) -> None: ...

class Quantile(_message.Message):
    __slots__ = ("level", "value")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    level: float
    value: float
    def __init__(self, level: _Optional[float] = ..., value: _Optional[float] = ...) -> None: ...

class DeadlineProbability(_message.Message):
    __slots__ = ("value", "probability")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    value: float
    probability: float
    def __init__(self, value: _Optional[float] = ..., probability: _Optional[float] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("under_cost", "over_cost", "level", "value")
    UNDER_COST_FIELD_NUMBER: _ClassVar[int]
    OVER_COST_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    under_cost: float
    over_cost: float
    level: float
    value: float
    def __init__(self, under_cost: _Optional[float] = ..., over_cost: _Optional[float] = ..., level: _Optional[float] = ..., value: _Optional[float] = ...) -> None: ...

class Provenance(_message.Message):
    __slots__ = ("workload", "bundle_version", "tier", "groups", "unknown_features", "correction")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FEATURES_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    tier: _common_pb2.Tier
    groups: _containers.RepeatedCompositeFieldContainer[GroupRows]
    unknown_features: _containers.RepeatedScalarFieldContainer[str]
    correction: int
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., groups: _Optional[_Iterable[_Union[GroupRows, _Mapping]]] = ..., unknown_features: _Optional[_Iterable[str]] = ..., correction: _Optional[int] = ...) -> None: ...

class GroupRows(_message.Message):
    __slots__ = ("features", "training_rows")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TRAINING_ROWS_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[str]
    training_rows: int
    def __init__(self, features: _Optional[_Iterable[str]] = ..., training_rows: _Optional[int] = ...) -> None: ...

class PredictStreamResponse(_message.Message):
    __slots__ = ("correlation_id", "prediction", "error")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    prediction: PredictResponse
    error: _status_pb2.Status
    def __init__(self, correlation_id: _Optional[str] = ..., prediction: _Optional[_Union[PredictResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class PredictBatchRequest(_message.Message):
    __slots__ = ("workload", "columns", "row_count", "options", "bundle_version", "encoding")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    workload: str
    columns: _containers.RepeatedCompositeFieldContainer[_common_pb2.Column]
    row_count: int
    options: ForecastOptions
    bundle_version: str
    encoding: _common_pb2.Encoding
    def __init__(self, workload: _Optional[str] = ..., columns: _Optional[_Iterable[_Union[_common_pb2.Column, _Mapping]]] = ..., row_count: _Optional[int] = ..., options: _Optional[_Union[ForecastOptions, _Mapping]] = ..., bundle_version: _Optional[str] = ..., encoding: _Optional[_Union[_common_pb2.Encoding, str]] = ...) -> None: ...

class PredictBatchResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "row_count", "metrics", "support", "abstained", "tiers", "raw_tiers", "groups", "unknown_features", "prediction_id", "correction")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    ABSTAINED_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    RAW_TIERS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FEATURES_FIELD_NUMBER: _ClassVar[int]
    PREDICTION_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    row_count: int
    metrics: _containers.RepeatedCompositeFieldContainer[MetricColumns]
    support: _common_pb2.Numbers
    abstained: _common_pb2.Flags
    tiers: _containers.RepeatedScalarFieldContainer[_common_pb2.Tier]
    raw_tiers: bytes
    groups: _containers.RepeatedCompositeFieldContainer[GroupRowsColumn]
    unknown_features: _containers.RepeatedCompositeFieldContainer[UnknownFeatureRows]
    prediction_id: str
    correction: int
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., row_count: _Optional[int] = ..., metrics: _Optional[_Iterable[_Union[MetricColumns, _Mapping]]] = ..., support: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ..., abstained: _Optional[_Union[_common_pb2.Flags, _Mapping]] = ..., tiers: _Optional[_Iterable[_Union[_common_pb2.Tier, str]]] = ..., raw_tiers: _Optional[bytes] = ..., groups: _Optional[_Iterable[_Union[GroupRowsColumn, _Mapping]]] = ..., unknown_features: _Optional[_Iterable[_Union[UnknownFeatureRows, _Mapping]]] = ..., prediction_id: _Optional[str] = ..., correction: _Optional[int] = ...) -> None: ...

class MetricColumns(_message.Message):
    __slots__ = ("metric", "unit", "median", "lower", "upper", "interval_level", "confidence", "quantiles", "deadlines", "reservations")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    QUANTILES_FIELD_NUMBER: _ClassVar[int]
    DEADLINES_FIELD_NUMBER: _ClassVar[int]
    RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    median: _common_pb2.Numbers
    lower: _common_pb2.Numbers
    upper: _common_pb2.Numbers
    interval_level: float
    confidence: _common_pb2.Numbers
    quantiles: _containers.RepeatedCompositeFieldContainer[QuantileColumn]
    deadlines: _containers.RepeatedCompositeFieldContainer[DeadlineColumn]
    reservations: _containers.RepeatedCompositeFieldContainer[ReservationColumn]
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., median: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ..., lower: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ..., upper: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ..., interval_level: _Optional[float] = ..., confidence: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ..., quantiles: _Optional[_Iterable[_Union[QuantileColumn, _Mapping]]] = ..., deadlines: _Optional[_Iterable[_Union[DeadlineColumn, _Mapping]]] = ..., reservations: _Optional[_Iterable[_Union[ReservationColumn, _Mapping]]] = ...) -> None: ...

class QuantileColumn(_message.Message):
    __slots__ = ("level", "values")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    level: float
    values: _common_pb2.Numbers
    def __init__(self, level: _Optional[float] = ..., values: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ...) -> None: ...

class DeadlineColumn(_message.Message):
    __slots__ = ("value", "probabilities")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    value: float
    probabilities: _common_pb2.Numbers
    def __init__(self, value: _Optional[float] = ..., probabilities: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ...) -> None: ...

class ReservationColumn(_message.Message):
    __slots__ = ("under_cost", "over_cost", "level", "values")
    UNDER_COST_FIELD_NUMBER: _ClassVar[int]
    OVER_COST_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    under_cost: float
    over_cost: float
    level: float
    values: _common_pb2.Numbers
    def __init__(self, under_cost: _Optional[float] = ..., over_cost: _Optional[float] = ..., level: _Optional[float] = ..., values: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ...) -> None: ...

class GroupRowsColumn(_message.Message):
    __slots__ = ("features", "training_rows")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    TRAINING_ROWS_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedScalarFieldContainer[str]
    training_rows: _common_pb2.Numbers
    def __init__(self, features: _Optional[_Iterable[str]] = ..., training_rows: _Optional[_Union[_common_pb2.Numbers, _Mapping]] = ...) -> None: ...

class UnknownFeatureRows(_message.Message):
    __slots__ = ("feature", "rows")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    feature: str
    rows: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, feature: _Optional[str] = ..., rows: _Optional[_Iterable[int]] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("workload", "features", "metrics", "neighbours", "bundle_version")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    metrics: _containers.RepeatedScalarFieldContainer[str]
    neighbours: int
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., metrics: _Optional[_Iterable[str]] = ..., neighbours: _Optional[int] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("metrics", "neighbours", "provenance", "support", "exact", "background_rows")
    METRICS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURS_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_ROWS_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[MetricExplanation]
    neighbours: _containers.RepeatedCompositeFieldContainer[Neighbour]
    provenance: Provenance
    support: float
    exact: bool
    background_rows: int
    def __init__(self, metrics: _Optional[_Iterable[_Union[MetricExplanation, _Mapping]]] = ..., neighbours: _Optional[_Iterable[_Union[Neighbour, _Mapping]]] = ..., provenance: _Optional[_Union[Provenance, _Mapping]] = ..., support: _Optional[float] = ..., exact: bool = ..., background_rows: _Optional[int] = ...) -> None: ...

class MetricExplanation(_message.Message):
    __slots__ = ("metric", "unit", "kind", "typical", "effects", "calibration", "median")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TYPICAL_FIELD_NUMBER: _ClassVar[int]
    EFFECTS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    kind: EffectKind
    typical: float
    effects: _containers.RepeatedCompositeFieldContainer[FeatureEffect]
    calibration: float
    median: float
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., kind: _Optional[_Union[EffectKind, str]] = ..., typical: _Optional[float] = ..., effects: _Optional[_Iterable[_Union[FeatureEffect, _Mapping]]] = ..., calibration: _Optional[float] = ..., median: _Optional[float] = ...) -> None: ...

class FeatureEffect(_message.Message):
    __slots__ = ("feature", "effect")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    feature: str
    effect: float
    def __init__(self, feature: _Optional[str] = ..., effect: _Optional[float] = ...) -> None: ...

class Neighbour(_message.Message):
    __slots__ = ("features", "measured", "training_rows", "distance")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    TRAINING_ROWS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_FIELD_NUMBER: _ClassVar[int]
    features: _containers.MessageMap[str, _common_pb2.Value]
    measured: _containers.RepeatedCompositeFieldContainer[MeasuredMetric]
    training_rows: int
    distance: float
    def __init__(self, features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., measured: _Optional[_Iterable[_Union[MeasuredMetric, _Mapping]]] = ..., training_rows: _Optional[int] = ..., distance: _Optional[float] = ...) -> None: ...

class MeasuredMetric(_message.Message):
    __slots__ = ("metric", "unit", "value")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    value: float
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
