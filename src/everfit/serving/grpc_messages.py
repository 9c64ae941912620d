"""The messages of the Open Inference Protocol over gRPC, described here and made by protobuf: no generated code.

Field names, types and numbers are the protocol's own. Left out is what is not read here (parameters); such fields of a
caller are passed over, as protobuf does with every field that it does not know.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "inference"
_MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "1 bool live",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "1 bool ready",
    "ModelReadyRequest": "1 string name, 2 string version",
    "ModelReadyResponse": "1 bool ready",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "1 string name, 2 string version, 3 *string extensions",
    "ModelMetadataRequest": "1 string name, 2 string version",
    "TensorMetadata": "1 string name, 2 string datatype, 3 *int64 shape",
    "ModelMetadataResponse": "1 string name, 2 *string versions, 3 string platform, 4 *TensorMetadata inputs, "
    "5 *TensorMetadata outputs",
    "InferTensorContents": "1 *bool bool_contents, 2 *int32 int_contents, 3 *int64 int64_contents, "
    "4 *uint32 uint_contents, 5 *uint64 uint64_contents, 6 *float fp32_contents, 7 *double fp64_contents, "
    "8 *bytes bytes_contents",
    "InferTensor": "1 string name, 2 string datatype, 3 *int64 shape, 5 InferTensorContents contents",
    "InferRequestedOutputTensor": "1 string name",
    "ModelInferRequest": "1 string model_name, 2 string model_version, 3 string id, 5 *InferTensor inputs, "
    "6 *InferRequestedOutputTensor outputs, 7 *bytes raw_input_contents",
    "ModelInferResponse": "1 string model_name, 2 string model_version, 3 string id, 5 *InferTensor outputs, "
    "6 *bytes raw_output_contents",
}
_Field = descriptor_pb2.FieldDescriptorProto


@cache
def message(name: str) -> Any:
    """The class of a message.

    >>> message("ModelReadyRequest")(name="churn").SerializeToString()
    b'\\n\\x05churn'
    """
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    """All messages, apart from those of other libraries in the process, which describe the same names."""
    described = descriptor_pb2.FileDescriptorProto(name="everfit/inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        made = described.message_type.add(name=name)
        for field in filter(None, fields.split(", ")):
            number, kind, called = field.split()
            made.field.append(_field(int(number), kind, called))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    return pool


def _field(number: int, kind: str, name: str) -> Any:
    label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
    kind = kind.removeprefix("*")
    if kind in _MESSAGES:
        place = f".{PACKAGE}.{kind}"
        return _Field(name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=place)
    return _Field(name=name, number=number, label=label, type=getattr(_Field, f"TYPE_{kind.upper()}"))
