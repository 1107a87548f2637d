"""The OpenAPI document: schemas of bodies from the structs, of answers from the messages, problems for the rest."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import Struct

from .messages import words_of

_REF = "#/components/schemas/{name}"
_shapes: dict[str, type[Struct]] = {}
_messages: dict[str, Descriptor] = {}

Answer = type[Message] | type[Struct] | Mapping[str, Any] | None


def describe(
    *,
    body: type[Struct] | Mapping[str, Any] | None,
    query: type[Struct] | None,
    answer: Answer,
    statuses: Iterable[int],
    listed: bool = False,
) -> dict[str, Any]:
    """Return what FastAPI cannot know of an operation, as it stands in the document."""
    found: dict[str, Any] = {}
    if body is not None:
        by_type = body if isinstance(body, Mapping) else {"application/json": schema_of(body)}
        content = {kind: {"schema": schema} for kind, schema in by_type.items()}
        found["requestBody"] = {"required": True, "content": content}
    if query is not None:
        found["parameters"] = _parameters(query)
    schema = schema_of(answer)
    if listed:
        page = {"data": {"type": "array", "items": schema}, "next_cursor": {"type": ["string", "null"]}}
        schema = {"type": "object", "properties": page, "required": list(page)}
    content = {"application/json": {"schema": schema}} if schema else {}
    found["responses"] = {str(status): {"description": _SAID[status], "content": content} for status in statuses}
    return found


_SAID = {200: "Done.", 201: "Made.", 202: "Taken; it will be done.", 204: "Done; there is nothing to say."}


def schema_of(kind: Answer) -> dict[str, Any]:
    """Return the schema of a type, by reference where it has a name."""
    if kind is None:
        return {}
    if isinstance(kind, Mapping):
        return dict(kind)
    if issubclass(kind, Message):
        return _message_ref(cast("Descriptor", kind.DESCRIPTOR))
    if _shapes.setdefault(kind.__name__, kind) is not kind:
        message = f"two structs are called {kind.__name__}"
        raise TypeError(message)
    return {"$ref": _REF.format(name=kind.__name__)}


def _parameters(query: type[Struct]) -> list[dict[str, Any]]:
    _, components = msgspec.json.schema_components([query], ref_template=_REF)
    properties = components[query.__name__]["properties"]
    required = components[query.__name__].get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in properties.items()
    ]


# Messages.
_KINDS: dict[int, dict[str, Any]] = {
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer"},
    FieldDescriptor.CPPTYPE_UINT64: {"type": "integer"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number"},
}


def _message_ref(kind: Descriptor) -> dict[str, Any]:
    _messages[kind.full_name] = kind
    return {"$ref": _REF.format(name=_name_of(kind))}


def _name_of(kind: Descriptor) -> str:
    return f"{kind.full_name.split('.')[1].capitalize()}{kind.name}"


def _message_schema(kind: Descriptor) -> dict[str, Any]:
    properties = {field.name: _field_schema(field) for field in kind.fields}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _field_schema(field: FieldDescriptor) -> dict[str, Any]:
    one = _one_schema(field)
    if field.is_repeated:
        return {"type": "array", "items": one}
    if not field.has_presence and field.enum_type is None:
        return one
    return {**one, "type": [one["type"], "null"]} if "type" in one else {"anyOf": [one, {"type": "null"}]}


def _one_schema(field: FieldDescriptor) -> dict[str, Any]:
    if field.enum_type is not None:
        return {"anyOf": [{"type": "string", "enum": words_of(field.enum_type)}, {"type": "null"}]}
    if field.type == FieldDescriptor.TYPE_BYTES:
        return {"description": "A JSON value of the partner's own shape."}
    if field.message_type is None:
        return dict(_KINDS[field.cpp_type])
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return {"type": "string", "format": "date-time"}
    return _message_ref(field.message_type)


# The document.
_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable; docs/errors.md has the cause and the way out of each."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
                "required": ["pointer", "code", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
}
_REFUSALS = {
    "400": "Not JSON, or a header or cursor is malformed.",
    "401": "No valid API key.",
    "403": "The key lacks the scope that `scope` names.",
    "404": "No such thing in this tenant.",
    "405": "No such method here; Allow names those there are.",
    "406": "The caller takes no JSON.",
    "408": "The body did not come in time.",
    "409": "The state, or what the id was used for before, forbids it.",
    "412": "The thing changed since it was read.",
    "413": "The body is over 1 MiB.",
    "415": "The body has another type or encoding.",
    "422": "The body or query is not what this operation takes; `errors` says where.",
    "500": "Something went wrong on our side.",
    "503": "A part of the system is away or busy; Retry-After says when to send again.",
}
_WITH_BODY = {"408", "413", "415"}


def document(app: FastAPI) -> dict[str, Any]:
    """Return the whole document, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _document(app)
    return app.openapi_schema


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    for path, methods in found["paths"].items():
        for operation in methods.values():
            _complete(path, operation)
    components = found.setdefault("components", {})
    components["schemas"] = _schemas()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}
    components["responses"] = {
        status: {"description": text, "content": {"application/problem+json": {"schema": _problem_ref()}}}
        for status, text in _REFUSALS.items()
    }
    return found


@cache
def _problem_ref() -> dict[str, str]:
    return {"$ref": _REF.format(name="Problem")}


def _complete(path: str, operation: dict[str, Any]) -> None:
    scope = operation.get("x-scope")
    if scope and scope != "public":
        operation["security"] = [{"key": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nNeeds the scope `{scope}`.".strip()
    refusals = set(_REFUSALS) - (set() if "requestBody" in operation else _WITH_BODY)
    if "{" not in path:
        refusals.discard("404")
    responses = operation.setdefault("responses", {})
    for status in sorted(refusals):
        responses[status] = {"$ref": f"#/components/responses/{status}"}
    for parameter in operation.get("parameters", []):
        parameter.get("schema", {}).pop("title", None)


def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(list(_shapes.values()), ref_template=_REF)
    schemas = dict(schemas)
    pending = dict(_messages)
    while pending:
        for kind in pending.values():
            schemas[_name_of(kind)] = _message_schema(kind)
        pending = {name: kind for name, kind in _messages.items() if _name_of(kind) not in schemas}
    return {"Problem": _PROBLEM, **schemas}
