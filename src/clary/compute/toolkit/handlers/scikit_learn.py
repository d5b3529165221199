"""scikit-learn's image: the user loads the model, everything else has a default."""

from __future__ import annotations

from typing import Any

from clary.compute.toolkit import encoding
from clary.compute.toolkit.handlers import Defaults


class ScikitLearn(Defaults):
    def input_fn(self, body: Any, content_type: str) -> Any:
        import numpy as np

        data = encoding.decode(body, content_type)
        return data.astype(np.float32) if encoding.media_type(content_type) in encoding.TEXT else data

    def predict_fn(self, data: Any, model: Any) -> Any:
        return model.predict(data)
