"""What every section is made of: strict values, secrets from the environment only, one word for the main field."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr


class FromEnvironment(str):
    """Text that came from `${VAR}`: the only text that a secret accepts."""

    __slots__ = ()


def _only_from_environment(value: object) -> object:
    if isinstance(value, (FromEnvironment, SecretStr)):
        if not (value if isinstance(value, str) else value.get_secret_value()):
            raise ValueError("the environment variable is empty")
        return value
    raise ValueError("a secret is never written into the file; put it into the environment and write ${NAME}")


def _without_password(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, FromEnvironment):
        parts = urlsplit(value)
        if parts.password or "password" in parse_qs(parts.query):
            raise ValueError("a password is never written into the file; put the whole address into the environment")
        return value
    return _only_from_environment(value)


Secret = Annotated[SecretStr, BeforeValidator(_only_from_environment)]
# Where something is; only the environment may say it with a password in it.
Address = Annotated[SecretStr, BeforeValidator(_without_password)]


class Section(BaseModel):
    """A part of the project file: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, hide_input_in_errors=True
    )


def named(section: type[Section], field: str) -> Any:
    """Lets a section be written as one word, standing for its main field."""

    def expand(value: object) -> object:
        return {field: value} if isinstance(value, str) else value

    return BeforeValidator(expand, json_schema_input_type=section | str)
