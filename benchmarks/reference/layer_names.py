"""Write live_gradcam/networks/layer_names.txt.gz: the names of the layers of every network that comes by name.

With them a wrong `--layer` is refused before TensorFlow is imported, or weights are downloaded. Each network is built
without weights, and its layers are listed as `live-gradcam layers` lists them.

    python benchmarks/reference/layer_names.py            write the table again, for the version of Keras that is there
    python benchmarks/reference/layer_names.py --compare  compare, and add the version of Keras to those that agree

The table's first line has the versions of Keras that it holds for. Each other line is of one network: its name, and
those of its layers in running order. `-` stands before a layer that cannot be the target layer.
"""

from __future__ import annotations

import argparse
import gzip
import os
from importlib.metadata import version
from pathlib import Path

TABLE = Path(__file__).parents[2] / "live_gradcam" / "networks" / "layer_names.txt.gz"


def lines_of_networks() -> list[str]:
    """A line for each network."""
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import keras

    from live_gradcam.networks.catalog import known_models
    from live_gradcam.networks.efficientnet_lite import build_efficientnet_lite
    from live_gradcam.networks.graph import flatten
    from live_gradcam.networks.lites import SCALINGS
    from live_gradcam.networks.target_layer import candidate_layers

    lines = []
    for name, entry in known_models().items():
        keras.utils.clear_session()  # so that layers without a name are numbered from the start
        with keras.StatelessScope(initialize_variables=False):  # no gigabytes of random weights
            if name in SCALINGS:
                model = build_efficientnet_lite(name)
            else:
                model = getattr(keras.applications, name)(weights=None)
            network = flatten(model, (entry.input_size, entry.input_size))
            candidates = {operation.name for operation in candidate_layers(network)}
        names = dict.fromkeys(operation.name for operation in network.operations)
        lines.append(" ".join([name, *(layer if layer in candidates else f"-{layer}" for layer in names)]))
        print(f"{name}: {len(names)} layers, {len(candidates)} can be the target layer", flush=True)
    return lines


def main() -> None:
    """Write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compare", action="store_true")
    release = ".".join(version("keras").split(".")[:2])
    versions, lines = [release], lines_of_networks()
    if parser.parse_args().compare:
        before, *other_lines = gzip.decompress(TABLE.read_bytes()).decode().splitlines()
        different = [line.split()[0] for line in set(lines) ^ set(other_lines)]
        if different:
            raise SystemExit(f"Keras {release} has other layers in {', '.join(sorted(set(different)))}")
        versions = sorted({*before.split(), release}, key=lambda text: [int(part) for part in text.split(".")])
    text = "\n".join([" ".join(versions), *lines]) + "\n"
    TABLE.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{TABLE}: {len(text)} characters, {TABLE.stat().st_size} bytes, for Keras {', '.join(versions)}")


if __name__ == "__main__":
    main()
