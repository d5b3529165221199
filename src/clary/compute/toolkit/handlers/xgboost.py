"""XGBoost's image in framework mode."""

from __future__ import annotations

from typing import Any

from clary.compute.toolkit import encoding
from clary.compute.toolkit.handlers import Defaults, only_file

_LIBSVM = ("text/libsvm", "text/x-libsvm")
_RECORDS = ("application/x-recordio-protobuf",)
_SUFFIXES = (".json", ".ubj", ".model", ".bin", "xgboost-model")


class XGBoost(Defaults):
    def model_fn(self, model_dir: str) -> Any:
        """The booster in `xgboost-model`, or in the only model file."""
        import xgboost

        return xgboost.Booster(model_file=str(only_file(model_dir, _SUFFIXES, "xgboost-model")))

    def input_fn(self, body: Any, content_type: str) -> Any:
        """A DMatrix of CSV, libsvm, RecordIO-protobuf, JSON, npy or Parquet rows without labels."""
        import numpy as np
        import xgboost

        name = encoding.media_type(content_type)
        if name in (*_LIBSVM, *_RECORDS):
            return xgboost.DMatrix(_rows(bytes(body), name))
        data = encoding.decode(body, content_type)
        return xgboost.DMatrix(np.atleast_2d(data) if isinstance(data, np.ndarray) else data)

    def predict_fn(self, data: Any, model: Any) -> Any:
        return model.predict(data, validate_features=False)


def _rows(body: bytes, name: str) -> Any:
    from clary.formats import libsvm, records

    return (libsvm if name in _LIBSVM else records).parse(body, source="the request").features
