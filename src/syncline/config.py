"""Settings: the only place that reads the environment, the settings file and files with secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "SYNCLINE_"
MIN_SECRET_KEY = 32
MIN_API_KEY = 24
MIN_SCIM_RATE = 1_500
_WEAK = ("secret", "changeme", "change-me", "password", "syncline", "default", "example", "development")


class SettingsError(Exception):
    """A setting that cannot be used; the message names it and says what to do."""


class Mode(StrEnum):
    """`production` refuses weak, default and generated secrets."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Pooler(StrEnum):
    """What lies in front of PostgreSQL: nothing, or a pooler such as PgBouncer in transaction mode."""

    NONE = "none"
    TRANSACTION = "transaction"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `SYNCLINE_X_FILE`: the path of a file that holds the value of `SYNCLINE_X`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's text for one setting, None if no file is named."""
        name = f"{PREFIX}{field_name.upper()}_FILE"
        path = os.environ.get(name)
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name} names a file that cannot be read: {path} ({error}).") from None

    def __call__(self) -> dict[str, Any]:
        """Return every setting that a file holds."""
        found = {
            name: self.get_field_value(info, name)[0] for name, info in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Every setting. Sources, strongest first: arguments, environment, files with secrets, the TOML file."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    database_url: str | None = Field(None, description="`sqlite:///…` or `postgresql://…`")
    database_pool: int = Field(10, ge=2, le=200, description="connections to PostgreSQL per process")
    database_pooler: Pooler = Field(
        Pooler.NONE, description="`transaction` if PgBouncer or its like lies in front of PostgreSQL"
    )
    data: Path = Field(Path("data"), description="folder of the generated key and the default SQLite file")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    worker_port: int | None = Field(
        None, ge=0, le=65535, description="port at which `syncline worker` shows its health and metrics"
    )
    max_connections: int = Field(1000, ge=10, le=100_000, description="connections of clients per process")
    head_seconds: float = Field(
        10, ge=1, le=300, description="seconds in which the head of a request must arrive"
    )
    base_url: str | None = Field(None, description="public address, used in every link and SCIM location")
    mode: Mode = Field(Mode.DEVELOPMENT, description="`production` refuses weak or generated secrets")
    secret_key: SecretStr | None = Field(None, description="seals stored secrets")
    secret_key_previous: SecretStr | None = Field(None, description="the key before, while both are in use")
    api_key: SecretStr | None = Field(None, description="makes the environment `default` with this API key")
    outbound_allow: str = Field(
        "", description="private addresses that outbound calls may reach, `CIDR[:port]`"
    )
    dns_server: str | None = Field(None, description="name server for domain verification, `host:port`")
    retention_days: int = Field(90, ge=1, le=3650, description="how long events are kept")
    attempts_days: int = Field(
        7, ge=1, le=3650, description="how long webhook attempts that arrived are kept"
    )
    failed_attempts_days: int = Field(
        30, ge=1, le=3650, description="how long other webhook attempts are kept"
    )
    deleted_days: int = Field(
        30, ge=1, le=3650, description="how long deleted people, groups, directories and keys are kept"
    )
    scim_rate: int = Field(
        0, ge=0, le=10_000_000, description="requests to a directory per minute and process; 0 is no limit"
    )
    api_rate: int = Field(
        0, ge=0, le=10_000_000, description="calls of an API key per minute and process; 0 is no limit"
    )
    address_rate: int = Field(
        0, ge=0, le=10_000_000, description="API calls from an address per minute and process; 0 is no limit"
    )
    directory_users_rate: int = Field(
        0,
        ge=0,
        le=10_000_000,
        description="`GET /directory_users` of a directory per minute and process; 0 is no limit",
    )
    organization_deletions_rate: int = Field(
        50,
        ge=0,
        le=10_000_000,
        description="organizations that an API key may delete per minute; 0 is no limit",
    )
    metrics_token: SecretStr | None = Field(None, description="bearer token of /metrics")
    log_level: str = Field("info", description="`debug`, `info`, `warning` or `error`")
    log_style: str = Field("json", description="`json` or `console`")
    faults: str = Field("", description="fault points for tests; empty in every real installation")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of strength."""
        file = os.environ.get(f"{PREFIX}CONFIG")
        if file and not Path(file).is_file():
            raise SettingsError(f"{PREFIX}CONFIG names a file that is not there: {file}.")
        toml = TomlConfigSettingsSource(settings_cls, toml_file=file or "syncline.toml")
        return init_settings, env_settings, SecretFiles(settings_cls), toml

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
        ):
            raise ValueError("must be http:// or https:// with a host and without a path")
        return value.rstrip("/")

    @field_validator("scim_rate")
    @classmethod
    def _lets_providers_through(cls, value: int) -> int:
        if 0 < value < MIN_SCIM_RATE:
            raise ValueError(f"must be 0 or at least {MIN_SCIM_RATE}: providers expect 25 requests a second")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_database(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in ("sqlite", "postgresql", "postgres"):
            raise ValueError("must begin with sqlite:/// or postgresql://")
        return value

    @field_validator("log_level")
    @classmethod
    def _is_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error"):
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @field_validator("log_style")
    @classmethod
    def _is_style(cls, value: str) -> str:
        if value.lower() not in ("json", "console"):
            raise ValueError("must be json or console")
        return value.lower()

    @field_validator("api_key")
    @classmethod
    def _is_api_key(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else None
        if text is not None and (not text.startswith("sk_") or len(text) < MIN_API_KEY):
            raise ValueError(f"must begin with sk_ and have at least {MIN_API_KEY} characters")
        return value

    @model_validator(mode="after")
    def _is_fit_for_production(self) -> Settings:
        if self.mode is not Mode.PRODUCTION:
            return self
        if self.secret_key is None:
            raise ValueError(f"{PREFIX}SECRET_KEY must be set in production mode")
        key = self.secret_key.get_secret_value()
        if len(key) < MIN_SECRET_KEY or _is_weak(key):
            raise ValueError(
                f"{PREFIX}SECRET_KEY is weak: use at least {MIN_SECRET_KEY} random characters, "
                "for example of `openssl rand -base64 48`"
            )
        if self.api_key is not None and _is_weak(_random_part(self.api_key.get_secret_value())):
            raise ValueError(
                f"{PREFIX}API_KEY is weak: use random characters after sk_, "
                "for example of `openssl rand -hex 32`"
            )
        if self.base_url is None:
            raise ValueError(f"{PREFIX}BASE_URL must be set in production mode")
        if self.faults:
            raise ValueError(f"{PREFIX}FAULTS must be empty in production mode")
        return self

    @property
    def database(self) -> str:
        """The address of the database: the one that is set, else a file in the data folder."""
        return self.database_url or f"sqlite:///{(self.data / 'syncline.db').absolute()}"

    @property
    def public_url(self) -> str:
        """The public address without a trailing slash."""
        if self.base_url is not None:
            return self.base_url
        host = "localhost" if self.host in ("0.0.0.0", "127.0.0.1", "::", "::1") else self.host
        return f"http://{host}:{self.port}"

    @property
    def outbound_allowed(self) -> tuple[str, ...]:
        """The entries of `outbound_allow`."""
        return tuple(part for part in self.outbound_allow.replace(",", " ").split() if part)


def load_settings(given: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; `given` holds what the command line says. Raises `SettingsError`."""
    try:
        return Settings(**{name: value for name, value in (given or {}).items() if value is not None})
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    except ValueError as error:
        raise SettingsError(f"The settings file cannot be read: {error}") from None


class ClientSettings(BaseSettings):
    """What the commands read that talk to a running Syncline; the rest is the server's business."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    url: str = Field("http://127.0.0.1:8000", description="address of the Syncline to talk to")
    api_key: SecretStr | None = Field(None, description="API key of the environment")
    state: Path | None = Field(None, description="folder of cursors and sandbox tokens of the commands")
    faults: str = Field("", description="fault points for tests; empty in every real installation")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of strength; the server's settings file is not among them."""
        return init_settings, env_settings, SecretFiles(settings_cls)

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise ValueError("must be http:// or https:// with a host and without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def state_folder(self) -> Path:
        """The folder that is set, else `syncline` in the user's state folder (XDG base directories)."""
        if self.state is not None:
            return self.state
        base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        return Path(base).expanduser() / "syncline"


def load_client_settings(given: Mapping[str, Any] | None = None) -> ClientSettings:
    """Read what the commands need; `given` holds what the command line says. Raises `SettingsError`."""
    try:
        return ClientSettings(**{name: value for name, value in (given or {}).items() if value is not None})
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def color_is_unwanted() -> bool:
    """Tell whether the user asks every program to print without colors (NO_COLOR)."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def _random_part(api_key: str) -> str:
    return api_key.removeprefix("sk_").removeprefix("test_").removeprefix("live_")


def _is_weak(key: str) -> bool:
    """Tell whether a key was made by a person: few different characters, or a word that examples use."""
    return len(set(key)) < 10 or key.lower().startswith(_WEAK)


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}" if problem["loc"] else ""
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name} {text}." if name else f"{text}.")
    return " ".join(lines)
