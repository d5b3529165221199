"""PyTorch's image: TorchScript models need no functions, others a model_fn."""

from __future__ import annotations

from typing import Any

from clary.compute.toolkit import encoding
from clary.compute.toolkit.handlers import Defaults, only_file


class PyTorch(Defaults):
    def model_fn(self, model_dir: str) -> Any:
        """The TorchScript module in `model.pt`, or in the only `.pt` or `.pth` file."""
        import torch

        path = only_file(model_dir, (".pt", ".pth"), "model.pt")
        try:
            return torch.jit.load(str(path), map_location=_device()).to(_device())
        except RuntimeError as error:
            raise ValueError(f"{path.name} is not TorchScript: save it with torch.jit.save, or write a model_fn") from error

    def input_fn(self, body: Any, content_type: str) -> Any:
        """A tensor: float32 of JSON and CSV, of the array's own type otherwise."""
        import torch

        data = encoding.decode(body, content_type)
        text = encoding.media_type(content_type) in encoding.TEXT
        return (torch.tensor(data, dtype=torch.float32) if text else torch.from_numpy(data)).to(_device())

    def predict_fn(self, data: Any, model: Any) -> Any:
        import torch

        with torch.no_grad():
            model = model.to(_device())
            model.eval()
            return model(data.to(_device()))

    def output_fn(self, prediction: Any, accept: str) -> Any:
        import torch

        if isinstance(prediction, torch.Tensor):
            prediction = prediction.detach().cpu().numpy()
        return super().output_fn(prediction, accept)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
