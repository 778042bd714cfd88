"""What is said to the routes of the registry besides the files."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from platemark.apps.server.uploads import EncodedFiles
from platemark.registry.registry import Duplicates
from platemark.usecases.enrol import Terms


class DesignChanges(BaseModel):
    """What to change about a design; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    notes: str | None = None
    tags: list[str] | None = None
    owner: str | None = None
    retired: bool | None = Field(default=None, description="Whether it is no longer searched for.")


class MergeRequest(BaseModel):
    """Designs that become part of another."""

    model_config = ConfigDict(extra="forbid")

    others: list[str] = Field(min_length=1, description="Their ids or names.")


class SplitRequest(BaseModel):
    """Samples that become a design of their own."""

    model_config = ConfigDict(extra="forbid")

    samples: list[str] = Field(min_length=1, description="Ids of samples of the design.")
    name: str = Field(description="Name of the new design.")


class About(BaseModel):
    """What is said about new samples, in the query, the form or the JSON object."""

    model_config = ConfigDict(extra="ignore")

    name: str
    notes: str = ""
    tags: list[str] = []
    owner: str = ""
    duplicates: Duplicates = "warn"
    all: bool = False

    @property
    def terms(self) -> Terms:
        """All but the name."""
        return Terms(tuple(self.tags), self.owner, self.notes, self.duplicates, self.all)

    @field_validator("tags", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        """A text is a comma-separated list."""
        return [tag for tag in value.split(",") if tag.strip()] if isinstance(value, str) else value


class NewSamples(EncodedFiles):
    """Files with stamps of one design, and what to call it."""

    name: str | None = Field(default=None, description="Name of the design.")
    notes: str | None = None
    tags: list[str] | None = None
    owner: str | None = None
    duplicates: Duplicates | None = None
    all: bool | None = Field(default=None, description="Different stamps may have one name.")
