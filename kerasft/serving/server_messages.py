"""The messages of TensorFlow Serving's configuration files, to parse their text form strictly.

ModelServerConfig comes from the package tensorflow-serving-api. The other three are not in it; they are declared here
after `servables/tensorflow/session_bundle_config.proto`, `config/monitoring_config.proto` and
`config/ssl_config.proto` of github.com/tensorflow/serving, field for field, in a pool of their own: the official
text-format parser reads them, and a field that is not there is an error as it is in the server.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

_Field = descriptor_pb2.FieldDescriptorProto
INT64, BOOL, STRING = _Field.TYPE_INT64, _Field.TYPE_BOOL, _Field.TYPE_STRING
INT64_VALUE, STRING_VALUE = ".google.protobuf.Int64Value", ".google.protobuf.StringValue"
PACKAGE = "tensorflow.serving"

# Message -> its fields, in the order of their numbers from 1; a type with dots is a message, a list is repeated.
MESSAGES: dict[str, dict[str, Any]] = {
    "BatchingParameters": {
        "max_batch_size": INT64_VALUE,
        "batch_timeout_micros": INT64_VALUE,
        "max_enqueued_batches": INT64_VALUE,
        "num_batch_threads": INT64_VALUE,
        "thread_pool_name": STRING_VALUE,
        "allowed_batch_sizes": [INT64],
        "pad_variable_length_inputs": BOOL,
    },
    "PrometheusConfig": {"enable": BOOL, "path": STRING},
    "MonitoringConfig": {"prometheus_config": f".{PACKAGE}.PrometheusConfig"},
    "SSLConfig": {"server_key": STRING, "server_cert": STRING, "custom_ca": STRING, "client_verify": BOOL},
}


def parse(message: str, text: str) -> Message:
    """Text form -> the message of that name. Raises google.protobuf.text_format.ParseError, with line and column."""
    return text_format.Parse(text, _classes()[message]())


@cache
def _classes() -> dict[str, type[Message]]:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name="kerasft/tensorflow_serving.proto", package=PACKAGE, syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            repeated = isinstance(kind, list)
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            kind = kind[0] if repeated else kind
            if isinstance(kind, str):
                added.type, added.type_name = _Field.TYPE_MESSAGE, kind
            else:
                added.type = kind
    pool.Add(file)
    own = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    classes = {name: message_factory.GetMessageClass(descriptor) for name, descriptor in own.items()}
    return {**classes, "ModelServerConfig": ModelServerConfig}
