"""Traces: one OpenTelemetry span for each call, sent to a collector over OTLP.

Spans are made when a call is over, so that a call that is not traced costs nothing. A caller's
own trace, in the metadata `traceparent` and `tracestate` of W3C Trace Context, is continued;
whether that one is sampled decides for ours too.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from foretell.errors import InvalidInput, Violation

if TYPE_CHECKING:
    from foretell_server.telemetry.journal import Call

EXPORT_WITHIN_S = 2
EXPORT_EVERY_MS = 1000

_W3C = ("traceparent", "tracestate")


class Tracer:
    """Sends spans in a thread of its own; when the collector is gone, they are dropped."""

    def __init__(self, endpoint: str, share: float) -> None:
        """`share`: of calls whose callers do not trace, so many are traced, in [0, 1].

        Raises InvalidInput when the extra `tracing` is not installed.
        """
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
        except ImportError as error:
            message = f"traces need the extra `tracing`: pip install foretell[tracing] ({error})"
            raise InvalidInput([Violation("otlp_endpoint", endpoint, message)]) from error
        release = version("foretell")
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(share),
            resource=Resource.create({"service.name": "foretell", "service.version": release}),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint, timeout=EXPORT_WITHIN_S)
        self._provider.add_span_processor(
            BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("foretell_server", release)

    def record(self, call: Call) -> None:
        """Make the span of a call that has just ended."""
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415 -- loaded by now
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
            TraceContextTextMapPropagator,
        )

        theirs = {key: str(value) for key, value in call.metadata if key in _W3C}
        ended_ns = time.time_ns()
        span = self._tracer.start_span(
            call.method,
            context=TraceContextTextMapPropagator().extract(theirs),
            kind=SpanKind.SERVER,
            attributes={
                "rpc.system.name": "grpc",
                "rpc.method": call.method,
                "rpc.response.status_code": call.status,
                "foretell.workload": call.workload,
                "foretell.bundle_version": call.bundle_version,
                "foretell.request_id": call.request_id,
            },
            start_time=ended_ns - int(call.seconds * 1e9),
        )
        if call.status != "OK":
            span.set_status(StatusCode.ERROR, call.status)
        span.end(ended_ns)

    def close(self) -> None:
        """Send what is left and stop. Blocks, for a few seconds when the collector is gone."""
        self._provider.shutdown()
