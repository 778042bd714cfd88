"""Every error platemark raises on purpose.

::

    PlatemarkError                    platemark_error
    ├─ InputError                     input_error
    │  ├─ UnreadableImage             unreadable_image
    │  ├─ UnsupportedInput            unsupported_input
    │  ├─ InputTooLarge               input_too_large
    │  ├─ NoStampFound                no_stamp_found
    │  └─ SeveralStamps               several_stamps         (where one is meant)
    ├─ ModelError                     model_error
    │  ├─ ModelNotFound               model_not_found        (lists the names there are)
    │  ├─ ModelCorrupt                model_corrupt          (file, expected, actual)
    │  ├─ ModelMismatch               model_mismatch
    │  └─ InferenceFailed             inference_failed
    ├─ RegistryError                  registry_error
    │  ├─ DesignNotFound              design_not_found
    │  ├─ DuplicateDesign             duplicate_design       (name taken, or stamp known already)
    │  ├─ InvalidDesign               invalid_design         (name, note, tag or samples not fit)
    │  ├─ VectorMismatch              vector_mismatch        (other model or size)
    │  ├─ RegistryUnavailable         registry_unavailable
    │  └─ ArchiveError                archive_error          (corrupt, or no registry archive)
    ├─ DatasetError                   dataset_error          (file, line and key)
    │  ├─ MissingImage                missing_image          (that annotations name)
    │  └─ EditConflict                edit_conflict          (somebody else changed the image)
    ├─ FormatError                    format_error           (plate-format file and key)
    ├─ RecipeError                    recipe_error           (recipe file and key)
    ├─ SettingsError                  settings_error         (key)
    ├─ ServiceError                   service_error          (of a server and its client)
    │  ├─ Overloaded                  overloaded             (seconds until it is worth a new try)
    │  ├─ TimedOut                    timed_out
    │  ├─ InvalidRequest              invalid_request
    │  ├─ Unauthorized                unauthorized
    │  └─ Forbidden                   forbidden
    ├─ WorkerLost                     worker_lost            (a page ended the process that did it)
    └─ MissingExtra                   missing_extra          (names the extra to install)

The ``code`` of a class is the same in JSON Lines, problem+json and exit messages, and does not
change. ``ValueError`` and ``TypeError`` stay for a programmer's wrong argument.
"""

# ruff: noqa: N818 - an error is named after what happened, like the codes that users see.

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class PlatemarkError(Exception):
    """Root of all errors that platemark raises on purpose.

    Args:
        message: What was wrong, with which input, and what to do about it.
        source: The input the error belongs to (a path as the user gave it), where there is one.
    """

    code: ClassVar[str] = "platemark_error"

    def __init__(self, message: str, *, source: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.source = source

    def to_dict(self) -> dict[str, str]:
        """Return the ``error`` object of the JSON output."""
        return {"code": self.code, "message": self.message}


def class_of(code: str) -> type[PlatemarkError]:
    """Return the class of the errors with a code; `PlatemarkError` for a code that no class has."""
    classes = [PlatemarkError]
    for known in classes:
        if known.code == code:
            return known
        classes += known.__subclasses__()
    return PlatemarkError


class InputError(PlatemarkError):
    """An input could not be used."""

    code = "input_error"


class UnreadableImage(InputError):
    """The input is missing, corrupt, or no picture at all."""

    code = "unreadable_image"


class UnsupportedInput(InputError):
    """The input is of a kind that platemark does not read, or not yet."""

    code = "unsupported_input"


class InputTooLarge(InputError):
    """The input is over a limit (pixels, bytes, pages)."""

    code = "input_too_large"


class NoStampFound(InputError):
    """The input was searched, and what is needed of it, a stamp with ink, is not there."""

    code = "no_stamp_found"


class SeveralStamps(InputError):
    """The input shows several different stamps, and one is meant."""

    code = "several_stamps"


class ModelError(PlatemarkError):
    """A model could not be loaded or run."""

    code = "model_error"


class ModelNotFound(ModelError):
    """No model has this name and no model file is at this path."""

    code = "model_not_found"

    def __init__(
        self, message: str, *, names: Iterable[str] = (), source: str | None = None
    ) -> None:
        self.names = tuple(names)
        known = ", ".join(self.names) if self.names else "none"
        super().__init__(f"{message} (bundled models: {known})", source=source)


class ModelCorrupt(ModelError):
    """A file of a model differs from what its card says."""

    code = "model_corrupt"

    def __init__(
        self,
        message: str,
        *,
        file: str | Path,
        expected: str,
        actual: str,
        source: str | None = None,
    ) -> None:
        self.file = str(file)
        self.expected = expected
        self.actual = actual
        super().__init__(f"{message}: {file}: expected {expected}, found {actual}", source=source)


class ModelMismatch(ModelError):
    """A model is sound but not for this task, kind or version."""

    code = "model_mismatch"


class InferenceFailed(ModelError):
    """The network did not run on this input."""

    code = "inference_failed"


class RegistryError(PlatemarkError):
    """The registry of known stamps could not do what was asked."""

    code = "registry_error"


class DesignNotFound(RegistryError):
    """The registry has no such design."""

    code = "design_not_found"


class DuplicateDesign(RegistryError):
    """The registry has a design of this name, or one with this very stamp."""

    code = "duplicate_design"


class InvalidDesign(RegistryError):
    """What was asked would make a design that cannot be, such as one without a name."""

    code = "invalid_design"


class VectorMismatch(RegistryError):
    """An embedding is of another model or size than those of the registry."""

    code = "vector_mismatch"


class RegistryUnavailable(RegistryError):
    """The registry does not answer."""

    code = "registry_unavailable"


class ArchiveError(RegistryError):
    """A file is no archive of a registry, is corrupt, or would do harm."""

    code = "archive_error"


class DatasetError(PlatemarkError):
    """A data set is not as its format says.

    Args:
        message: What is wrong.
        file: The file it is wrong in.
        line: Its line, counted from 1.
        key: Where in the file or line, such as ``regions.0.shape_attributes``.
    """

    code = "dataset_error"

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        key: str | None = None,
        source: str | None = None,
    ) -> None:
        self.file = None if file is None else str(file)
        self.line = line
        self.key = key or None
        place = ":".join(str(part) for part in (self.file, line) if part is not None)
        told = [part for part in (place, self.key, message) if part]
        super().__init__(": ".join(told), source=source)


class MissingImage(DatasetError):
    """Annotations name an image that is not there."""

    code = "missing_image"


class EditConflict(DatasetError):
    """A change builds on a version of an image that is no longer its last; it is kept beside it."""

    code = "edit_conflict"


class FormatError(PlatemarkError):
    """A plate-format file is not as its schema says."""

    code = "format_error"

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        key: str | None = None,
        source: str | None = None,
    ) -> None:
        self.file = None if file is None else str(file)
        self.key = key
        place = [part for part in (self.file, key) if part is not None]
        super().__init__(": ".join([*place, message]), source=source)


class RecipeError(PlatemarkError):
    """A recipe of a training is not as its schema says.

    Args:
        message: What is wrong.
        file: The recipe; None where it was given in words.
        key: Where in it, such as ``data.0.manifest``.
    """

    code = "recipe_error"

    def __init__(
        self, message: str, *, file: str | Path | None = None, key: str | None = None
    ) -> None:
        self.file = None if file is None else str(file)
        self.key = key or None
        told = [part for part in (self.file, self.key, message) if part]
        super().__init__(": ".join(told), source=self.file)


class SettingsError(PlatemarkError):
    """A setting has a value that cannot be used."""

    code = "settings_error"

    def __init__(self, message: str, *, key: str | None = None, source: str | None = None) -> None:
        self.key = key
        super().__init__(message if key is None else f"{key}: {message}", source=source)


class ServiceError(PlatemarkError):
    """A server could not be reached, or refused or failed to do what was asked."""

    code = "service_error"


class Overloaded(ServiceError):
    """The server has as much to do as it takes on; later it may have less.

    Args:
        message: What was wrong and what to do about it.
        retry_after: Seconds until a new try is worth it.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int = 1, source: str | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message, source=source)


class TimedOut(ServiceError):
    """The work took longer than a request may take."""

    code = "timed_out"


class InvalidRequest(ServiceError):
    """A request is not as the interface says."""

    code = "invalid_request"


class Unauthorized(ServiceError):
    """The server wants a key, and none or a wrong one was given."""

    code = "unauthorized"


class Forbidden(ServiceError):
    """The key, or the page that a browser shows, does not allow what was asked."""

    code = "forbidden"


class WorkerLost(PlatemarkError):
    """The process that did a page ended while it did, as where a decoder crashes."""

    code = "worker_lost"


class MissingExtra(PlatemarkError):
    """An optional library is not installed; the message names the extra that brings it."""

    code = "missing_extra"

    def __init__(self, feature: str, extra: str, *, source: str | None = None) -> None:
        self.extra = extra
        super().__init__(
            f"{feature} needs an optional part that is not installed; "
            f"install it with: {_install_command(extra)}",
            source=source,
        )


def _install_command(extra: str) -> str:
    """How to add an extra, in the way in which platemark itself was installed."""
    import json
    from importlib import metadata

    place = Path(sys.prefix).parts
    if "pipx" in place:
        return f"pipx install --force 'platemark[{extra}]'"
    if "uv" in place and "tools" in place:
        return f"uv tool install 'platemark[{extra}]'"
    try:
        origin = metadata.distribution("platemark").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        origin = None
    # PEP 610: what was installed from a folder says so, and whether in place.
    folder = json.loads(origin or "{}").get("dir_info")
    if folder is None:
        return f"pip install 'platemark[{extra}]'"
    editable = "--editable " if folder.get("editable") else ""
    return f"pip install {editable}'.[{extra}]', in the folder of its source"
