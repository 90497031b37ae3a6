"""Settings: one model for server, trainer and command line, from the environment, a file, flags.

Flags win over the file, the file over the environment. A process that starts others hands its
settings down with `as_environment`, so that no file changes them on the way.
"""

from __future__ import annotations

import ipaddress
import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from foretell.errors import InvalidInput, NotFound, Violation

ENV_PREFIX = "FORETELL_"
CONFIG_VARIABLE = "FORETELL_CONFIG"
CONFIG_FILE = Path("foretell.yaml")

NOT_FLAGS = frozenset({"token"})
"""Settings that have no flag, because other users of the machine can read a command line."""

# How load_settings tells the settings' own sources which file to read.
_chosen_config: ContextVar[Path | None] = ContextVar("chosen_config", default=None)


class Settings(BaseSettings):
    """What an operator may set. Each field's description is its documentation."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    registry: Path = Field(
        default=Path(".foretell/registry"), description="Folder that bundles are published in."
    )
    data: Path = Field(
        default=Path(".foretell/data"), description="Folder of the trainer's DuckDB store."
    )
    registry_url: str | None = Field(
        default=None,
        description="Where bundles are published instead, such as s3://bucket/foretell; the folder "
        "`registry` then has copies. Keys and endpoint as AWS's own tools take them.",
    )
    signing_key_file: Path | None = Field(
        default=None,
        description="PEM file of the Ed25519 key that bundles are signed with when published.",
    )
    trusted_keys_file: Path | None = Field(
        default=None,
        description="PEM file of public keys; bundles that none of them signed are refused.",
    )
    bundles_kept: int | None = Field(
        default=None,
        ge=1,
        description="Prune after each training run; keep so many of the newest. Not set: never.",
    )
    broker_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="URL of the Redis or Valkey that carries observations and jobs.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the server listens on.")
    port: int = Field(
        default=50051, ge=0, le=65535, description="Port of the server; 0 takes a free one."
    )
    workers: int = Field(
        default=1, ge=1, le=256, description="Server processes that share the port."
    )
    max_message_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1024,
        description="Largest message, in bytes, in either direction.",
    )
    max_rows_per_call: int = Field(
        default=100_000, ge=1, description="Most rows in one PredictBatch or Report call."
    )
    max_candidates: int = Field(
        default=10_000, ge=1, description="Most candidates of one RecommendHardware call."
    )
    max_matrix_cells: int = Field(
        default=1_000_000, ge=1, description="Most cells of one PredictMatrix call."
    )
    max_placement_pairs: int = Field(
        default=50_000, ge=1, description="Most items times kinds of nodes of one PlaceBatch call."
    )
    max_concurrent_calls: int = Field(
        default=1000, ge=1, description="Calls in flight per process; more get RESOURCE_EXHAUSTED."
    )
    cache_entries: int = Field(
        default=10_000,
        ge=0,
        description="Answers kept for repeated requests, per process; 0 keeps none.",
    )
    max_streams_per_connection: int = Field(
        default=500,
        ge=1,
        description="Calls in flight on one connection; a client's others wait in the client.",
    )
    max_metadata_bytes: int = Field(
        default=8192,
        ge=1024,
        description="Metadata of one call, in bytes, as HTTP/2 counts; more: RESOURCE_EXHAUSTED.",
    )
    min_ping_interval_s: float = Field(
        default=10.0,
        gt=0,
        description="Clients may ping this often, even when idle; floods end the connection.",
    )
    max_connection_age_s: float | None = Field(
        default=None,
        gt=0,
        description=(
            "Older connections are asked to close, so that load spreads and clients leave before "
            "a shutdown; not set: half of `drain_seconds` with several workers, else never."
        ),
    )
    drain_seconds: float = Field(
        default=10.0, ge=0, description="How long calls in flight may finish after SIGTERM."
    )
    registry_poll_s: float = Field(
        default=2.0,
        gt=0,
        description="How often the registry is looked at, when no notice arrives.",
    )
    token: SecretStr | None = Field(
        default=None,
        description="Token that administrative calls must carry. No flag: file or variable.",
    )
    token_file: Path | None = Field(
        default=None,
        description="File whose first line is the token that administrative calls must carry; used "
        "when `token` is not set.",
    )
    insecure: bool = Field(
        default=False, description="Allow listening beyond this machine without TLS, in the clear."
    )
    tls_cert_file: Path | None = Field(
        default=None, description="PEM file of the server's certificate."
    )
    tls_key_file: Path | None = Field(
        default=None, description="PEM file of the certificate's key."
    )
    retrain_after_observations: int | None = Field(
        default=None,
        ge=1,
        description="Train anew after so many new observations; not set: not by their number.",
    )
    retrain_every_s: float | None = Field(
        default=None,
        gt=0,
        description="Train anew when the last run is so long ago and there are new observations.",
    )
    retrain_at: str | None = Field(
        default=None,
        description="Train anew at these times if there are new observations: minute, hour, day "
        "of the month, month and weekday in UTC, as in a crontab; `0 3 * * *` is nightly at three.",
    )
    retrain_on_drift: bool = Field(
        default=False,
        description="Train anew when the errors of a group are distributed otherwise than before.",
    )
    regression_percent: float = Field(
        default=20.0,
        gt=0,
        description="A group that is so much slower than it was, in percent, is reported.",
    )
    retrain_window_rows: int = Field(
        default=50_000,
        ge=100,
        description="Observations of a windowed training run; with no more, all are learned from.",
    )
    fit_threads: int = Field(
        default=1,
        ge=1,
        description="Threads of a fit; a second one brings little and is in the way of answers.",
    )
    fit_niceness: int = Field(
        default=10,
        ge=0,
        le=19,
        description="How far a fit gives way to all else on its machine: nice(1); 0: not.",
    )
    answers: Path | None = Field(
        default=None,
        description="Folder where servers keep what was asked lately; not set: in the registry.",
    )
    answers_kept_s: float = Field(
        default=24 * 3600.0,
        gt=0,
        description="How long an outcome may come after its answer with the prediction id alone.",
    )
    answers_kept_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=0,
        description="How much is kept for that, in bytes, by all servers; 0 keeps nothing.",
    )
    gate_margin: float = Field(
        default=0.05,
        ge=0,
        description="A new bundle's error on all rows may be this much larger, as a share.",
    )
    gate_group_margin: float = Field(
        default=0.1,
        ge=0,
        description="A new bundle's error on the rows of one group may be this much larger.",
    )
    gate_coverage_margin: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Its 90 % intervals may miss this share of rows more; twice that in a group.",
    )
    gate_significance: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="Probability of holding back a bundle that is as good, for noise alone.",
    )
    gate_min_rows: int = Field(
        default=20, ge=5, description="Rows that a group, or all, must have to be compared on."
    )
    gate_newest_share: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the new observations that a fit leaves out, to be compared on.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Least important level that is logged: debug, info, warning, error.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="`json`: an object per line. `text`: for people."
    )
    log_answers_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of the answers that are logged at level info; at debug, all are.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        description="Collector that traces go to over OTLP, such as http://127.0.0.1:4317.",
    )
    trace_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the calls that are traced, of those whose caller does not trace.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of the Prometheus page; 0 takes a free one. None: no page.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address of the Prometheus page, which is plain HTTP."
    )

    @classmethod
    def settings_customise_sources(  # the order is the precedence, highest first
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic passes it
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic passes it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where values come from: what is passed in, the file, the environment."""
        file = InitSettingsSource(settings_cls, init_kwargs=_read_config(_config_path()))
        return init_settings, file, env_settings

    def as_environment(self) -> dict[str, str]:
        """Return the variables that give another process these very settings.

        Folders are made absolute. The variable that names the file names an empty one.
        """
        variables = {CONFIG_VARIABLE: os.devnull}
        for name, value in self:
            if isinstance(value, Path):
                variables[ENV_PREFIX + name.upper()] = str(value.resolve())
            elif isinstance(value, SecretStr):
                variables[ENV_PREFIX + name.upper()] = value.get_secret_value()
            elif value is not None:
                variables[ENV_PREFIX + name.upper()] = str(value)
        return variables

    @property
    def is_loopback(self) -> bool:
        """Whether the server can be reached from this machine only."""
        if self.host == "localhost" or self.host.startswith("unix:"):
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    def admin_token(self) -> str | None:
        """Return the token that administrative calls must carry, None when there is none.

        Raises InvalidInput when `token_file` cannot be read or is empty.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        try:
            first = self.token_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except OSError as error:
            raise _invalid("token_file", str(self.token_file), str(error)) from error
        if not first:
            raise _invalid("token_file", str(self.token_file), "the file's first line is empty")
        return first


def load_settings(config: Path | None = None, **flags: object) -> Settings:
    """Return the settings from environment, file and flags; InvalidInput if they are wrong.

    `config` is the file; without it, the one that FORETELL_CONFIG names, else ./foretell.yaml
    if there is one. Flags that are None were not given.
    """
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    chosen = _chosen_config.set(config)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidInput([_violation(detail) for detail in error.errors()]) from error
    finally:
        _chosen_config.reset(chosen)


def settings_table() -> str:
    """Return the documentation of all settings as Markdown; docs/settings.md holds it."""
    rows = [
        f"| `{name}` | `{ENV_PREFIX}{name.upper()}` | {_flag(name)} "
        f"| {_default(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    head = "| setting | variable | flag | default | what it is |\n|---|---|---|---|---|"
    return "\n".join([_INTRODUCTION, head, *rows, ""])


_INTRODUCTION = f"""# Settings

Each setting is an environment variable, a line in a file (`--config FILE`, else the file that
`{CONFIG_VARIABLE}` names, else `./{CONFIG_FILE}` if there is one), or a flag of the commands that
use it. Flags win over the file, the file over variables. This page is written by
`foretell.settings.settings_table`; a test keeps it current.
"""


def _config_path() -> Path | None:
    chosen = _chosen_config.get()
    if chosen is not None:
        return chosen
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    return CONFIG_FILE if CONFIG_FILE.is_file() else None


def _read_config(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound("settings file", str(path)) from None
    except (OSError, yaml.YAMLError) as error:
        raise _invalid("config", str(path), f"{path} is not YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise _invalid("config", str(path), f"{path} must hold `setting: value` lines")
    return {str(name): value for name, value in data.items()}


def _violation(detail: Any) -> Violation:  # noqa: ANN401 -- pydantic's TypedDict
    name = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return Violation(name, "", f"there is no setting {name!r}; known: {known}")
    shown = "(hidden)" if name in NOT_FLAGS else repr(detail["input"])
    return Violation(name, shown, f"{shown}: {detail['msg']}")


def _invalid(name: str, value: str, why: str) -> InvalidInput:
    return InvalidInput([Violation(name, value, why)])


def _flag(name: str) -> str:
    return "none" if name in NOT_FLAGS else f"`--{name.replace('_', '-')}`"


def _default(value: object) -> str:
    if value is None:
        return "not set"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
