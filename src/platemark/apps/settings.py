"""Settings of the server: the only reader of the environment and of TOML.

What a caller gives comes first, then ``PLATEMARK_...`` variables, then the file, then the defaults
here. Lists in variables are comma-separated.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from platemark.errors import SettingsError
from platemark.parallel import usable_cores

PREFIX = "PLATEMARK_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
_KEY_LENGTH = 16
_MB = 1_000_000

Keys = Annotated[tuple[SecretStr, ...], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Everything about the server that can be set.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        root_path: Path under which a proxy in front serves this server, without it passing it on.
        forwarded_allow_ips: Addresses of proxies whose ``X-Forwarded-...`` headers are believed.
        registry: Path or URL of the registry of known stamps; empty for a server without.
        plate_model: What `PlatePipeline.from_pretrained` loads.
        stamp_model: What `StampPipeline.from_pretrained` loads.
        workers: Pictures that are worked on at a time.
        threads: CPU threads for each of them. One for each worker gives most throughput; more
            make a lone request quicker.
        web: Whether the web app is served.
        learn_minutes: Longest fine-tuning, in minutes, when the web app learns a stamp; 0 for no
            learning at all.
        docs: Whether ``/docs``, ``/redoc`` and ``/openapi.json`` are served.
        max_in_flight: Requests that are taken on at a time, those waiting included; others get 429.
        request_seconds: Longest time for one request, from its first byte on.
        shutdown_seconds: Time that requests in flight have left when the server is to stop.
        max_file_bytes: Largest file.
        max_request_bytes: Largest request.
        max_files: Most files in a request.
        max_pixels: Largest image or page, in pixels.
        max_pages: Most pages of a document.
        read_keys: Keys for reading only. With no key at all, everybody may do everything.
        write_keys: Keys that may also change the registry.
        cors_origins: Origins whose pages may call the server from a browser; by default none but
            its own.
        log_level: Least level of what is logged.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    root_path: str = ""
    forwarded_allow_ips: Names = ("127.0.0.1",)
    registry: str = "stamps.db"
    plate_model: str | None = None
    stamp_model: str | None = None
    workers: int = Field(default_factory=usable_cores, ge=1, le=256)
    threads: int = Field(default=1, ge=1, le=256)
    web: bool = True
    learn_minutes: float = Field(default=10.0, ge=0, le=24 * 60)
    docs: bool = True
    max_in_flight: int = Field(default=32, ge=1)
    request_seconds: float = Field(default=60.0, gt=0)
    shutdown_seconds: int = Field(default=30, ge=0)
    max_file_bytes: int = Field(default=32 * _MB, ge=1)
    max_request_bytes: int = Field(default=64 * _MB, ge=1)
    max_files: int = Field(default=32, ge=1)
    max_pixels: int = Field(default=64 * _MB, ge=1)
    max_pages: int = Field(default=100, ge=1)
    read_keys: Keys = ()
    write_keys: Keys = ()
    cors_origins: Names = ()
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")

    @field_validator(
        "read_keys", "write_keys", "cors_origins", "forwarded_allow_ips", mode="before"
    )
    @classmethod
    def _separated(cls, value: object) -> object:
        """A text is a comma-separated list."""
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("read_keys", "write_keys")
    @classmethod
    def _hard_to_guess(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < _KEY_LENGTH for key in keys):
            raise ValueError(f"a key has at least {_KEY_LENGTH} characters")
        return keys

    @classmethod
    def load(cls, file: str | Path | None = None, **given: Any) -> Self:
        """Read the settings.

        Args:
            file: A TOML file; by default the one that ``PLATEMARK_CONFIG`` names, if any.
            given: Settings that go before all others; None stands for not given.

        Raises:
            SettingsError: The file cannot be read, or a setting has a value that cannot be used.
        """
        place = file or os.environ.get(FILE_VARIABLE)
        stated = _read(Path(place)) if place else {}

        class WithFile(cls):  # type: ignore[valid-type, misc]
            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return init_settings, env_settings, InitSettingsSource(settings_cls, dict(stated))

        try:
            made: Self = WithFile(
                **{key: value for key, value in given.items() if value is not None}
            )
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise SettingsError(
                f"{first['msg']} (an option, {PREFIX}{key.upper()}, or in {place or 'a file'})",
                key=key,
            ) from error
        return made


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
