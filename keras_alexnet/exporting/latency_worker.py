"""Timing of a SavedModel in a process that imports only TensorFlow.

The arguments are the folder and the number of threads. For every number N on a line of standard
input, it prints a line of JSON: the seconds of N calls of `serving_default` with one image each.
"""

import json
import sys
import time

import tensorflow as tf


def main(folder: str, threads: str) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(int(threads))
    tf.config.threading.set_inter_op_parallelism_threads(1)
    classify = tf.saved_model.load(folder).signatures["serving_default"]
    [image] = classify.structured_input_signature[1].values()
    pixels = tf.random.stateless_uniform([1, *image.shape[1:]], [0, 0], maxval=255, dtype=tf.int32)
    pixels = tf.cast(pixels, image.dtype)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            started = time.perf_counter()
            classify(image=pixels)["logits"].numpy()
            seconds.append(time.perf_counter() - started)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
