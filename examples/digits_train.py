"""Train the weights of `digits.mesh`; needs scikit-learn (`pip install 'meshc[train]'`), which nothing else here does.

Reads the 1,797 images of 8 x 8 pixels that scikit-learn ships (from the UCI "Optical Recognition of Handwritten Digits"
data), trains on 70 % of them, and writes beside itself:

- `digits.npz`: `images` f32[1797, 64] in 0 .. 1, `labels` i32[1797], `held_out` bool[1797];
- `digits.safetensors`: the weights, rounded to bf16.

The seed is fixed; the files in the repository are what it wrote.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
SEED = 20
HIDDEN = (128, 64)
BRIGHTEST = 16.0


def main() -> None:
    data = load_digits()
    images = (data.data / BRIGHTEST).astype(np.float32)
    labels = data.target.astype(np.int32)
    train, held_out = train_test_split(np.arange(len(labels)), test_size=0.3, stratify=labels, random_state=SEED)
    model = MLPClassifier(HIDDEN, alpha=1e-3, max_iter=400, random_state=SEED)
    model.fit(images[train], labels[train])

    is_held_out = np.zeros(len(labels), np.bool_)
    is_held_out[held_out] = True
    np.savez_compressed(HERE / "digits.npz", images=images, labels=labels, held_out=is_held_out)
    weights = {f"w{layer}": values for layer, values in enumerate(model.coefs_, start=1)}
    biases = {f"b{layer}": values for layer, values in enumerate(model.intercepts_, start=1)}
    rounded = {name: values.astype(ml_dtypes.bfloat16) for name, values in (weights | biases).items()}
    save_file(rounded, HERE / "digits.safetensors")
    print(f"accuracy: {model.score(images[train], labels[train]):.2%} on the {len(train)} training images, "
          f"{model.score(images[held_out], labels[held_out]):.2%} on the {len(held_out)} held out")  # fmt: skip


if __name__ == "__main__":
    main()
