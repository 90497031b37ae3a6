from foretell.v1 import common_pb2 as _common_pb2
from foretell.v1 import prediction_pb2 as _prediction_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_CLEAR: _ClassVar[Verdict]
    VERDICT_CLOSE: _ClassVar[Verdict]
    VERDICT_INSUFFICIENT_EVIDENCE: _ClassVar[Verdict]
    VERDICT_INFEASIBLE: _ClassVar[Verdict]

class ExclusionReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXCLUSION_REASON_UNSPECIFIED: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_LIMIT: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_UNAVAILABLE: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_UNKNOWN: _ClassVar[ExclusionReason]
    EXCLUSION_REASON_EVIDENCE: _ClassVar[ExclusionReason]

class PlacementGoal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLACEMENT_GOAL_UNSPECIFIED: _ClassVar[PlacementGoal]
    PLACEMENT_GOAL_MAKESPAN: _ClassVar[PlacementGoal]
    PLACEMENT_GOAL_COST: _ClassVar[PlacementGoal]
    PLACEMENT_GOAL_DEADLINE_MISSES: _ClassVar[PlacementGoal]

class SharingGoal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SHARING_GOAL_UNSPECIFIED: _ClassVar[SharingGoal]
    SHARING_GOAL_MAKESPAN: _ClassVar[SharingGoal]
    SHARING_GOAL_MEAN_COMPLETION: _ClassVar[SharingGoal]
    SHARING_GOAL_MEMORY: _ClassVar[SharingGoal]

class StrategyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STRATEGY_KIND_UNSPECIFIED: _ClassVar[StrategyKind]
    STRATEGY_KIND_PARALLEL: _ClassVar[StrategyKind]
    STRATEGY_KIND_SEQUENTIAL: _ClassVar[StrategyKind]
    STRATEGY_KIND_BATCHED: _ClassVar[StrategyKind]
VERDICT_UNSPECIFIED: Verdict
VERDICT_CLEAR: Verdict
VERDICT_CLOSE: Verdict
VERDICT_INSUFFICIENT_EVIDENCE: Verdict
VERDICT_INFEASIBLE: Verdict
EXCLUSION_REASON_UNSPECIFIED: ExclusionReason
EXCLUSION_REASON_LIMIT: ExclusionReason
EXCLUSION_REASON_UNAVAILABLE: ExclusionReason
EXCLUSION_REASON_UNKNOWN: ExclusionReason
EXCLUSION_REASON_EVIDENCE: ExclusionReason
PLACEMENT_GOAL_UNSPECIFIED: PlacementGoal
PLACEMENT_GOAL_MAKESPAN: PlacementGoal
PLACEMENT_GOAL_COST: PlacementGoal
PLACEMENT_GOAL_DEADLINE_MISSES: PlacementGoal
SHARING_GOAL_UNSPECIFIED: SharingGoal
SHARING_GOAL_MAKESPAN: SharingGoal
SHARING_GOAL_MEAN_COMPLETION: SharingGoal
SHARING_GOAL_MEMORY: SharingGoal
STRATEGY_KIND_UNSPECIFIED: StrategyKind
STRATEGY_KIND_PARALLEL: StrategyKind
STRATEGY_KIND_SEQUENTIAL: StrategyKind
STRATEGY_KIND_BATCHED: StrategyKind

class Objective(_message.Message):
    __slots__ = ("terms", "risk", "quantile")
    TERMS_FIELD_NUMBER: _ClassVar[int]
    RISK_FIELD_NUMBER: _ClassVar[int]
    QUANTILE_FIELD_NUMBER: _ClassVar[int]
    terms: _containers.RepeatedCompositeFieldContainer[ObjectiveTerm]
    risk: float
    quantile: float
    def __init__(self, terms: _Optional[_Iterable[_Union[ObjectiveTerm, _Mapping]]] = ..., risk: _Optional[float] = ..., quantile: _Optional[float] = ...) -> None: ...

class ObjectiveTerm(_message.Message):
    __slots__ = ("quantity", "weight", "reference", "unit")
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    quantity: str
    weight: float
    reference: float
    unit: str
    def __init__(self, quantity: _Optional[str] = ..., weight: _Optional[float] = ..., reference: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("quantity", "at_most", "at_least", "at_most_fact", "share", "probability", "unit")
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FIELD_NUMBER: _ClassVar[int]
    AT_LEAST_FIELD_NUMBER: _ClassVar[int]
    AT_MOST_FACT_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    quantity: str
    at_most: float
    at_least: float
    at_most_fact: str
    share: float
    probability: float
    unit: str
    def __init__(self, quantity: _Optional[str] = ..., at_most: _Optional[float] = ..., at_least: _Optional[float] = ..., at_most_fact: _Optional[str] = ..., share: _Optional[float] = ..., probability: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class Accounting(_message.Message):
    __slots__ = ("work_metric", "power")
    WORK_METRIC_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    work_metric: str
    power: str
    def __init__(self, work_metric: _Optional[str] = ..., power: _Optional[str] = ...) -> None: ...

class RecommendHardwareRequest(_message.Message):
    __slots__ = ("workload", "features", "candidate_feature", "candidates", "all_known", "objective", "limits", "pareto_quantities", "max_results", "interval_level", "support_floor", "accounting", "bundle_version")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_FEATURE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    ALL_KNOWN_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PARETO_QUANTITIES_FIELD_NUMBER: _ClassVar[int]
    MAX_RESULTS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FLOOR_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    candidate_feature: str
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    all_known: bool
    objective: Objective
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    pareto_quantities: _containers.RepeatedScalarFieldContainer[str]
    max_results: int
    interval_level: float
    support_floor: float
    accounting: Accounting
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., candidate_feature: _Optional[str] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., all_known: bool = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., pareto_quantities: _Optional[_Iterable[str]] = ..., max_results: _Optional[int] = ..., interval_level: _Optional[float] = ..., support_floor: _Optional[float] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("name", "features", "price_per_hour", "available_count")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    name: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    price_per_hour: float
    available_count: int
    def __init__(self, name: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., price_per_hour: _Optional[float] = ..., available_count: _Optional[int] = ...) -> None: ...

class RecommendHardwareResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "objective", "objective_unit", "verdict", "ranked", "ranked_count", "excluded", "regret", "infeasibility", "pareto_front", "candidate_count")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_UNIT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    RANKED_FIELD_NUMBER: _ClassVar[int]
    RANKED_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    REGRET_FIELD_NUMBER: _ClassVar[int]
    INFEASIBILITY_FIELD_NUMBER: _ClassVar[int]
    PARETO_FRONT_FIELD_NUMBER: _ClassVar[int]
    CANDIDATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    objective: str
    objective_unit: str
    verdict: Verdict
    ranked: _containers.RepeatedCompositeFieldContainer[RankedCandidate]
    ranked_count: int
    excluded: _containers.RepeatedCompositeFieldContainer[ExcludedCandidate]
    regret: Regret
    infeasibility: Infeasibility
    pareto_front: _containers.RepeatedScalarFieldContainer[int]
    candidate_count: int
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., objective: _Optional[str] = ..., objective_unit: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., ranked: _Optional[_Iterable[_Union[RankedCandidate, _Mapping]]] = ..., ranked_count: _Optional[int] = ..., excluded: _Optional[_Iterable[_Union[ExcludedCandidate, _Mapping]]] = ..., regret: _Optional[_Union[Regret, _Mapping]] = ..., infeasibility: _Optional[_Union[Infeasibility, _Mapping]] = ..., pareto_front: _Optional[_Iterable[int]] = ..., candidate_count: _Optional[int] = ...) -> None: ...

class RankedCandidate(_message.Message):
    __slots__ = ("name", "index", "rank", "objective", "metrics", "cost", "energy_j", "limits", "probability_best", "support", "tier", "unknown_features", "on_front", "why")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    RANK_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    ENERGY_J_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_BEST_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FEATURES_FIELD_NUMBER: _ClassVar[int]
    ON_FRONT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    name: str
    index: int
    rank: int
    objective: float
    metrics: _containers.RepeatedCompositeFieldContainer[MetricEstimate]
    cost: float
    energy_j: float
    limits: _containers.RepeatedCompositeFieldContainer[LimitCheck]
    probability_best: float
    support: float
    tier: _common_pb2.Tier
    unknown_features: _containers.RepeatedScalarFieldContainer[str]
    on_front: bool
    why: str
    def __init__(self, name: _Optional[str] = ..., index: _Optional[int] = ..., rank: _Optional[int] = ..., objective: _Optional[float] = ..., metrics: _Optional[_Iterable[_Union[MetricEstimate, _Mapping]]] = ..., cost: _Optional[float] = ..., energy_j: _Optional[float] = ..., limits: _Optional[_Iterable[_Union[LimitCheck, _Mapping]]] = ..., probability_best: _Optional[float] = ..., support: _Optional[float] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., unknown_features: _Optional[_Iterable[str]] = ..., on_front: bool = ..., why: _Optional[str] = ...) -> None: ...

class MetricEstimate(_message.Message):
    __slots__ = ("metric", "unit", "median", "interval", "confidence")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    median: float
    interval: _prediction_pb2.Interval
    confidence: float
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., median: _Optional[float] = ..., interval: _Optional[_Union[_prediction_pb2.Interval, _Mapping]] = ..., confidence: _Optional[float] = ...) -> None: ...

class LimitCheck(_message.Message):
    __slots__ = ("limit", "index", "holds", "probability", "bound", "needed", "unit")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    BOUND_FIELD_NUMBER: _ClassVar[int]
    NEEDED_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    limit: str
    index: int
    holds: bool
    probability: float
    bound: float
    needed: float
    unit: str
    def __init__(self, limit: _Optional[str] = ..., index: _Optional[int] = ..., holds: bool = ..., probability: _Optional[float] = ..., bound: _Optional[float] = ..., needed: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class ExcludedCandidate(_message.Message):
    __slots__ = ("name", "index", "reason", "why", "limits", "support", "tier")
    NAME_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    name: str
    index: int
    reason: ExclusionReason
    why: str
    limits: _containers.RepeatedCompositeFieldContainer[LimitCheck]
    support: float
    tier: _common_pb2.Tier
    def __init__(self, name: _Optional[str] = ..., index: _Optional[int] = ..., reason: _Optional[_Union[ExclusionReason, str]] = ..., why: _Optional[str] = ..., limits: _Optional[_Iterable[_Union[LimitCheck, _Mapping]]] = ..., support: _Optional[float] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ...) -> None: ...

class Regret(_message.Message):
    __slots__ = ("probability_another_better", "expected", "relative")
    PROBABILITY_ANOTHER_BETTER_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    RELATIVE_FIELD_NUMBER: _ClassVar[int]
    probability_another_better: float
    expected: float
    relative: float
    def __init__(self, probability_another_better: _Optional[float] = ..., expected: _Optional[float] = ..., relative: _Optional[float] = ...) -> None: ...

class Infeasibility(_message.Message):
    __slots__ = ("binding_limit", "kept_by", "nearest", "nearest_index", "miss", "why")
    BINDING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    KEPT_BY_FIELD_NUMBER: _ClassVar[int]
    NEAREST_FIELD_NUMBER: _ClassVar[int]
    NEAREST_INDEX_FIELD_NUMBER: _ClassVar[int]
    MISS_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    binding_limit: int
    kept_by: _containers.RepeatedScalarFieldContainer[int]
    nearest: str
    nearest_index: int
    miss: float
    why: str
    def __init__(self, binding_limit: _Optional[int] = ..., kept_by: _Optional[_Iterable[int]] = ..., nearest: _Optional[str] = ..., nearest_index: _Optional[int] = ..., miss: _Optional[float] = ..., why: _Optional[str] = ...) -> None: ...

class PredictMatrixRequest(_message.Message):
    __slots__ = ("workload", "axes", "features", "options", "encoding", "bundle_version")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    AXES_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    axes: _containers.RepeatedCompositeFieldContainer[MatrixAxis]
    features: _containers.MessageMap[str, _common_pb2.Value]
    options: _prediction_pb2.ForecastOptions
    encoding: _common_pb2.Encoding
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., axes: _Optional[_Iterable[_Union[MatrixAxis, _Mapping]]] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., options: _Optional[_Union[_prediction_pb2.ForecastOptions, _Mapping]] = ..., encoding: _Optional[_Union[_common_pb2.Encoding, str]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class MatrixAxis(_message.Message):
    __slots__ = ("feature", "values")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    feature: str
    values: _containers.RepeatedCompositeFieldContainer[_common_pb2.Value]
    def __init__(self, feature: _Optional[str] = ..., values: _Optional[_Iterable[_Union[_common_pb2.Value, _Mapping]]] = ...) -> None: ...

class PredictMatrixResponse(_message.Message):
    __slots__ = ("first_cell", "cell_count", "keys", "cells")
    FIRST_CELL_FIELD_NUMBER: _ClassVar[int]
    CELL_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    first_cell: int
    cell_count: int
    keys: _containers.RepeatedCompositeFieldContainer[_common_pb2.Column]
    cells: _prediction_pb2.PredictBatchResponse
    def __init__(self, first_cell: _Optional[int] = ..., cell_count: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[_common_pb2.Column, _Mapping]]] = ..., cells: _Optional[_Union[_prediction_pb2.PredictBatchResponse, _Mapping]] = ...) -> None: ...

class PredictCurveRequest(_message.Message):
    __slots__ = ("workload", "features", "feature", "values", "start_value", "stop_value", "point_count", "objective", "limits", "price_per_hour", "interval_level", "accounting", "bundle_version")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    START_VALUE_FIELD_NUMBER: _ClassVar[int]
    STOP_VALUE_FIELD_NUMBER: _ClassVar[int]
    POINT_COUNT_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    feature: str
    values: _containers.RepeatedScalarFieldContainer[float]
    start_value: float
    stop_value: float
    point_count: int
    objective: Objective
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    price_per_hour: float
    interval_level: float
    accounting: Accounting
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., feature: _Optional[str] = ..., values: _Optional[_Iterable[float]] = ..., start_value: _Optional[float] = ..., stop_value: _Optional[float] = ..., point_count: _Optional[int] = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., price_per_hour: _Optional[float] = ..., interval_level: _Optional[float] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class PredictCurveResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "feature", "unit", "log_scale", "values", "metrics", "interval_level", "support", "objective", "objective_unit", "objective_values", "limit_probabilities", "within_limits", "best", "why")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    LOG_SCALE_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_UNIT_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_VALUES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    WITHIN_LIMITS_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    feature: str
    unit: str
    log_scale: bool
    values: _containers.RepeatedScalarFieldContainer[float]
    metrics: _containers.RepeatedCompositeFieldContainer[CurveMetric]
    interval_level: float
    support: _containers.RepeatedScalarFieldContainer[float]
    objective: str
    objective_unit: str
    objective_values: _containers.RepeatedScalarFieldContainer[float]
    limit_probabilities: _containers.RepeatedScalarFieldContainer[float]
    within_limits: _containers.RepeatedScalarFieldContainer[bool]
    best: BestPoint
    why: str
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., feature: _Optional[str] = ..., unit: _Optional[str] = ..., log_scale: bool = ..., values: _Optional[_Iterable[float]] = ..., metrics: _Optional[_Iterable[_Union[CurveMetric, _Mapping]]] = ..., interval_level: _Optional[float] = ..., support: _Optional[_Iterable[float]] = ..., objective: _Optional[str] = ..., objective_unit: _Optional[str] = ..., objective_values: _Optional[_Iterable[float]] = ..., limit_probabilities: _Optional[_Iterable[float]] = ..., within_limits: _Optional[_Iterable[bool]] = ..., best: _Optional[_Union[BestPoint, _Mapping]] = ..., why: _Optional[str] = ...) -> None: ...

class CurveMetric(_message.Message):
    __slots__ = ("metric", "unit", "median", "lower", "upper", "knee")
    METRIC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    KNEE_FIELD_NUMBER: _ClassVar[int]
    metric: str
    unit: str
    median: _containers.RepeatedScalarFieldContainer[float]
    lower: _containers.RepeatedScalarFieldContainer[float]
    upper: _containers.RepeatedScalarFieldContainer[float]
    knee: float
    def __init__(self, metric: _Optional[str] = ..., unit: _Optional[str] = ..., median: _Optional[_Iterable[float]] = ..., lower: _Optional[_Iterable[float]] = ..., upper: _Optional[_Iterable[float]] = ..., knee: _Optional[float] = ...) -> None: ...

class BestPoint(_message.Message):
    __slots__ = ("index", "value", "objective")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    index: int
    value: float
    objective: float
    def __init__(self, index: _Optional[int] = ..., value: _Optional[float] = ..., objective: _Optional[float] = ...) -> None: ...

class WhatIfRequest(_message.Message):
    __slots__ = ("workload", "configurations", "objective", "certainty", "interval_level", "accounting", "bundle_version")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATIONS_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    configurations: _containers.RepeatedCompositeFieldContainer[Configuration]
    objective: Objective
    certainty: float
    interval_level: float
    accounting: Accounting
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., configurations: _Optional[_Iterable[_Union[Configuration, _Mapping]]] = ..., objective: _Optional[_Union[Objective, _Mapping]] = ..., certainty: _Optional[float] = ..., interval_level: _Optional[float] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class Configuration(_message.Message):
    __slots__ = ("name", "features", "price_per_hour")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    name: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    price_per_hour: float
    def __init__(self, name: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., price_per_hour: _Optional[float] = ...) -> None: ...

class WhatIfResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "objective", "objective_unit", "certainty", "interval_level", "configurations", "differences", "best")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_UNIT_FIELD_NUMBER: _ClassVar[int]
    CERTAINTY_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_LEVEL_FIELD_NUMBER: _ClassVar[int]
    CONFIGURATIONS_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCES_FIELD_NUMBER: _ClassVar[int]
    BEST_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    objective: str
    objective_unit: str
    certainty: float
    interval_level: float
    configurations: _containers.RepeatedCompositeFieldContainer[ComparedConfiguration]
    differences: _containers.RepeatedCompositeFieldContainer[Difference]
    best: str
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., objective: _Optional[str] = ..., objective_unit: _Optional[str] = ..., certainty: _Optional[float] = ..., interval_level: _Optional[float] = ..., configurations: _Optional[_Iterable[_Union[ComparedConfiguration, _Mapping]]] = ..., differences: _Optional[_Iterable[_Union[Difference, _Mapping]]] = ..., best: _Optional[str] = ...) -> None: ...

class ComparedConfiguration(_message.Message):
    __slots__ = ("name", "objective", "metrics", "cost", "energy_j", "probability_best", "support", "tier", "unknown_features")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OBJECTIVE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    ENERGY_J_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_BEST_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FEATURES_FIELD_NUMBER: _ClassVar[int]
    name: str
    objective: float
    metrics: _containers.RepeatedCompositeFieldContainer[MetricEstimate]
    cost: float
    energy_j: float
    probability_best: float
    support: float
    tier: _common_pb2.Tier
    unknown_features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., objective: _Optional[float] = ..., metrics: _Optional[_Iterable[_Union[MetricEstimate, _Mapping]]] = ..., cost: _Optional[float] = ..., energy_j: _Optional[float] = ..., probability_best: _Optional[float] = ..., support: _Optional[float] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ..., unknown_features: _Optional[_Iterable[str]] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("name", "probability_better", "ratio", "ratio_interval", "certain", "why")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_BETTER_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    RATIO_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    CERTAIN_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    name: str
    probability_better: float
    ratio: float
    ratio_interval: _prediction_pb2.Interval
    certain: bool
    why: str
    def __init__(self, name: _Optional[str] = ..., probability_better: _Optional[float] = ..., ratio: _Optional[float] = ..., ratio_interval: _Optional[_Union[_prediction_pb2.Interval, _Mapping]] = ..., certain: bool = ..., why: _Optional[str] = ...) -> None: ...

class PlaceBatchRequest(_message.Message):
    __slots__ = ("workload", "items", "nodes", "goal", "node_feature", "overflow_risk", "start_at_once", "memory_metric", "accounting", "search_seconds", "bundle_version")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    NODE_FEATURE_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_RISK_FIELD_NUMBER: _ClassVar[int]
    START_AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_METRIC_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    SEARCH_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    items: _containers.RepeatedCompositeFieldContainer[BatchItem]
    nodes: _containers.RepeatedCompositeFieldContainer[BatchNode]
    goal: PlacementGoal
    node_feature: str
    overflow_risk: float
    start_at_once: bool
    memory_metric: str
    accounting: Accounting
    search_seconds: float
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., items: _Optional[_Iterable[_Union[BatchItem, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[BatchNode, _Mapping]]] = ..., goal: _Optional[_Union[PlacementGoal, str]] = ..., node_feature: _Optional[str] = ..., overflow_risk: _Optional[float] = ..., start_at_once: bool = ..., memory_metric: _Optional[str] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., search_seconds: _Optional[float] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class BatchItem(_message.Message):
    __slots__ = ("name", "features", "deadline_s", "work")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    name: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    deadline_s: float
    work: float
    def __init__(self, name: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., deadline_s: _Optional[float] = ..., work: _Optional[float] = ...) -> None: ...

class BatchNode(_message.Message):
    __slots__ = ("name", "kind", "features", "memory", "power", "slot_count", "free_in_s", "price_per_hour")
    class FeaturesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _common_pb2.Value
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_common_pb2.Value, _Mapping]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    SLOT_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREE_IN_S_FIELD_NUMBER: _ClassVar[int]
    PRICE_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    features: _containers.MessageMap[str, _common_pb2.Value]
    memory: float
    power: float
    slot_count: int
    free_in_s: float
    price_per_hour: float
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., features: _Optional[_Mapping[str, _common_pb2.Value]] = ..., memory: _Optional[float] = ..., power: _Optional[float] = ..., slot_count: _Optional[int] = ..., free_in_s: _Optional[float] = ..., price_per_hour: _Optional[float] = ...) -> None: ...

class PlaceBatchResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "goal", "goal_unit", "goal_value", "goal_bound", "gap", "exact", "makespan_s", "makespan_interval", "cost", "expected_misses", "memory_unit", "power_unit", "assigned", "unplaced", "nodes")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    GOAL_UNIT_FIELD_NUMBER: _ClassVar[int]
    GOAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    GOAL_BOUND_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    MAKESPAN_S_FIELD_NUMBER: _ClassVar[int]
    MAKESPAN_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_MISSES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_UNIT_FIELD_NUMBER: _ClassVar[int]
    POWER_UNIT_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_FIELD_NUMBER: _ClassVar[int]
    UNPLACED_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    goal: PlacementGoal
    goal_unit: str
    goal_value: float
    goal_bound: float
    gap: float
    exact: bool
    makespan_s: float
    makespan_interval: _prediction_pb2.Interval
    cost: float
    expected_misses: float
    memory_unit: str
    power_unit: str
    assigned: _containers.RepeatedCompositeFieldContainer[AssignedItem]
    unplaced: _containers.RepeatedCompositeFieldContainer[UnplacedItem]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeLoad]
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., goal: _Optional[_Union[PlacementGoal, str]] = ..., goal_unit: _Optional[str] = ..., goal_value: _Optional[float] = ..., goal_bound: _Optional[float] = ..., gap: _Optional[float] = ..., exact: bool = ..., makespan_s: _Optional[float] = ..., makespan_interval: _Optional[_Union[_prediction_pb2.Interval, _Mapping]] = ..., cost: _Optional[float] = ..., expected_misses: _Optional[float] = ..., memory_unit: _Optional[str] = ..., power_unit: _Optional[str] = ..., assigned: _Optional[_Iterable[_Union[AssignedItem, _Mapping]]] = ..., unplaced: _Optional[_Iterable[_Union[UnplacedItem, _Mapping]]] = ..., nodes: _Optional[_Iterable[_Union[NodeLoad, _Mapping]]] = ...) -> None: ...

class AssignedItem(_message.Message):
    __slots__ = ("item", "index", "node", "node_index", "start_s", "end_s", "median_s", "duration_interval", "probability_late", "support", "tier")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    NODE_INDEX_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_S_FIELD_NUMBER: _ClassVar[int]
    DURATION_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_LATE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    item: str
    index: int
    node: str
    node_index: int
    start_s: float
    end_s: float
    median_s: float
    duration_interval: _prediction_pb2.Interval
    probability_late: float
    support: float
    tier: _common_pb2.Tier
    def __init__(self, item: _Optional[str] = ..., index: _Optional[int] = ..., node: _Optional[str] = ..., node_index: _Optional[int] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., median_s: _Optional[float] = ..., duration_interval: _Optional[_Union[_prediction_pb2.Interval, _Mapping]] = ..., probability_late: _Optional[float] = ..., support: _Optional[float] = ..., tier: _Optional[_Union[_common_pb2.Tier, str]] = ...) -> None: ...

class UnplacedItem(_message.Message):
    __slots__ = ("item", "index", "why")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    item: str
    index: int
    why: str
    def __init__(self, item: _Optional[str] = ..., index: _Optional[int] = ..., why: _Optional[str] = ...) -> None: ...

class NodeLoad(_message.Message):
    __slots__ = ("node", "index", "item_count", "done_s", "memory_needed", "memory_worst_cases", "memory_capacity", "overflow_probability", "power_needed", "power_capacity", "overload_probability")
    NODE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ITEM_COUNT_FIELD_NUMBER: _ClassVar[int]
    DONE_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_NEEDED_FIELD_NUMBER: _ClassVar[int]
    MEMORY_WORST_CASES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    POWER_NEEDED_FIELD_NUMBER: _ClassVar[int]
    POWER_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    OVERLOAD_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    node: str
    index: int
    item_count: int
    done_s: float
    memory_needed: float
    memory_worst_cases: float
    memory_capacity: float
    overflow_probability: float
    power_needed: float
    power_capacity: float
    overload_probability: float
    def __init__(self, node: _Optional[str] = ..., index: _Optional[int] = ..., item_count: _Optional[int] = ..., done_s: _Optional[float] = ..., memory_needed: _Optional[float] = ..., memory_worst_cases: _Optional[float] = ..., memory_capacity: _Optional[float] = ..., overflow_probability: _Optional[float] = ..., power_needed: _Optional[float] = ..., power_capacity: _Optional[float] = ..., overload_probability: _Optional[float] = ...) -> None: ...

class ShareDeviceRequest(_message.Message):
    __slots__ = ("workload", "items", "goal", "memory", "overflow_risk", "limits", "neighbour_feature", "item_feature", "slowdown", "batch_feature", "batch_sizes", "memory_metric", "accounting", "bundle_version")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_RISK_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOUR_FEATURE_FIELD_NUMBER: _ClassVar[int]
    ITEM_FEATURE_FIELD_NUMBER: _ClassVar[int]
    SLOWDOWN_FIELD_NUMBER: _ClassVar[int]
    BATCH_FEATURE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_METRIC_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    workload: str
    items: _containers.RepeatedCompositeFieldContainer[BatchItem]
    goal: SharingGoal
    memory: float
    overflow_risk: float
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    neighbour_feature: str
    item_feature: str
    slowdown: float
    batch_feature: str
    batch_sizes: _containers.RepeatedScalarFieldContainer[float]
    memory_metric: str
    accounting: Accounting
    bundle_version: str
    def __init__(self, workload: _Optional[str] = ..., items: _Optional[_Iterable[_Union[BatchItem, _Mapping]]] = ..., goal: _Optional[_Union[SharingGoal, str]] = ..., memory: _Optional[float] = ..., overflow_risk: _Optional[float] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., neighbour_feature: _Optional[str] = ..., item_feature: _Optional[str] = ..., slowdown: _Optional[float] = ..., batch_feature: _Optional[str] = ..., batch_sizes: _Optional[_Iterable[float]] = ..., memory_metric: _Optional[str] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., bundle_version: _Optional[str] = ...) -> None: ...

class ShareDeviceResponse(_message.Message):
    __slots__ = ("workload", "bundle_version", "goal", "goal_unit", "memory_unit", "strategies", "left_out")
    WORKLOAD_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    GOAL_FIELD_NUMBER: _ClassVar[int]
    GOAL_UNIT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_UNIT_FIELD_NUMBER: _ClassVar[int]
    STRATEGIES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    workload: str
    bundle_version: str
    goal: SharingGoal
    goal_unit: str
    memory_unit: str
    strategies: _containers.RepeatedCompositeFieldContainer[Strategy]
    left_out: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workload: _Optional[str] = ..., bundle_version: _Optional[str] = ..., goal: _Optional[_Union[SharingGoal, str]] = ..., goal_unit: _Optional[str] = ..., memory_unit: _Optional[str] = ..., strategies: _Optional[_Iterable[_Union[Strategy, _Mapping]]] = ..., left_out: _Optional[_Iterable[str]] = ...) -> None: ...

class Strategy(_message.Message):
    __slots__ = ("kind", "feasible", "goal_value", "makespan_s", "makespan_interval", "mean_completion_s", "memory_needed", "overflow_probability", "timeline", "why")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FEASIBLE_FIELD_NUMBER: _ClassVar[int]
    GOAL_VALUE_FIELD_NUMBER: _ClassVar[int]
    MAKESPAN_S_FIELD_NUMBER: _ClassVar[int]
    MAKESPAN_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    MEAN_COMPLETION_S_FIELD_NUMBER: _ClassVar[int]
    MEMORY_NEEDED_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    TIMELINE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    kind: StrategyKind
    feasible: bool
    goal_value: float
    makespan_s: float
    makespan_interval: _prediction_pb2.Interval
    mean_completion_s: float
    memory_needed: float
    overflow_probability: float
    timeline: _containers.RepeatedCompositeFieldContainer[TimelineSegment]
    why: str
    def __init__(self, kind: _Optional[_Union[StrategyKind, str]] = ..., feasible: bool = ..., goal_value: _Optional[float] = ..., makespan_s: _Optional[float] = ..., makespan_interval: _Optional[_Union[_prediction_pb2.Interval, _Mapping]] = ..., mean_completion_s: _Optional[float] = ..., memory_needed: _Optional[float] = ..., overflow_probability: _Optional[float] = ..., timeline: _Optional[_Iterable[_Union[TimelineSegment, _Mapping]]] = ..., why: _Optional[str] = ...) -> None: ...

class TimelineSegment(_message.Message):
    __slots__ = ("item", "start_s", "end_s", "slowdown", "batch_size")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    START_S_FIELD_NUMBER: _ClassVar[int]
    END_S_FIELD_NUMBER: _ClassVar[int]
    SLOWDOWN_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    item: str
    start_s: float
    end_s: float
    slowdown: float
    batch_size: float
    def __init__(self, item: _Optional[str] = ..., start_s: _Optional[float] = ..., end_s: _Optional[float] = ..., slowdown: _Optional[float] = ..., batch_size: _Optional[float] = ...) -> None: ...
