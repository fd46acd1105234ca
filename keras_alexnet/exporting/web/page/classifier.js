// A network in the browser: loads the runtime and a .tflite file, and classifies pictures.
//
//     import {Classifier} from "./classifier.js";
//     const classifier = await Classifier.load(new URL("./network.json", import.meta.url));
//     const {classes, milliseconds} = await classifier.classify(blob);

import {loadAndCompile, loadLiteRt, supportsFeature, Tensor} from "@litertjs/core";
import {withPicture} from "./image.js";
import {prepare} from "./squares.js";

const RUNTIME = new URL("./runtime/core/wasm/", import.meta.url);
const MOST_THREADS = 4;

let runtime; // loaded once for the page

async function loadRuntime() {
  // Threads share memory, which browsers allow only to pages with certain headers.
  const threads = globalThis.crossOriginIsolated
    && await supportsFeature("threads") && await supportsFeature("relaxedSimd")
    ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  await loadLiteRt(RUNTIME.href, {threads: threads > 1});
  return threads;
}

export class Classifier {
  /**
   * @param {object} network what network.json holds
   * @param {object} compiled LiteRT's CompiledModel
   * @param {number} threads how many it runs with
   */
  constructor(network, compiled, threads) {
    this.network = network;
    this.threads = threads;
    this._compiled = compiled;
  }

  /**
   * Loads a network.
   *
   * @param {URL} address of network.json
   * @param {string} [name] one of its models, such as "int8"; by default the first
   */
  static async load(address, name) {
    const network = await (await fetched(address)).json();
    const model = network.models.find((each) => each.name === name) ?? network.models[0];
    runtime ??= loadRuntime();
    const threads = await runtime.catch((error) => {
      runtime = undefined; // so that another try loads it again
      throw error;
    });
    const contents = await (await fetched(new URL(model.file, address))).arrayBuffer();
    const options = {accelerator: "wasm", cpuOptions: {numThreads: threads}};
    const compiled = await loadAndCompile(new Uint8Array(contents), options);
    const classifier = new Classifier({...network, model}, compiled, threads);
    // The first run takes many times as long, because it prepares the weights.
    await classifier.run(new Uint8ClampedArray(network.image_plan.input_size ** 2 * 3));
    return classifier;
  }

  /** Classifies a picture in a Blob or File; see `run` for the result. */
  async classify(blob) {
    const plan = this.network.image_plan;
    const pixels = await withPicture(blob, plan, this.network.max_image_pixels,
      (source) => prepare(source, plan));
    return this.run(pixels);
  }

  /** Classifies what a source of squares.js shows; see `run` for the result. */
  async classifySource(source) {
    return this.run(prepare(source, this.network.image_plan));
  }

  /**
   * Runs the network.
   *
   * @param {Uint8ClampedArray} pixels its input, RGB
   * @returns {object} pixels; classes, [{index, label, probability}] from the likeliest;
   *     logits and probabilities in the order of the labels; milliseconds; and maps, by the name
   *     of a layer: {height, width, count, values}, the values of all maps at a place together
   */
  async run(pixels) {
    const {image_plan: plan, input_dtype: dtype, labels, layers} = this.network;
    const side = plan.input_size;
    const numbers = dtype === "uint8" ? Uint8Array.from(pixels) : Float32Array.from(pixels);
    const started = performance.now();
    const image = new Tensor(numbers, [1, side, side, 3]);
    let outputs = {};
    const read = {};
    try {
      outputs = await this._compiled.run({image});
      for (const [name, tensor] of Object.entries(outputs)) {
        read[name] = tensor.toTypedArray().slice(); // its own memory goes with the tensor
      }
    } finally {
      image.delete();
      Object.values(outputs).forEach((tensor) => tensor.delete());
    }
    const milliseconds = performance.now() - started;
    const {logits, probabilities} = read;
    const classes = labels
      .map((label, index) => ({index, label, probability: probabilities[index]}))
      .sort((one, other) => logits[other.index] - logits[one.index]);
    const maps = Object.fromEntries(layers.map(({name, shape: [height, width, count]}) =>
      [name, {height, width, count, values: read[name]}]));
    return {pixels, classes, logits, probabilities, milliseconds, maps};
  }

  /** Frees the memory of the network. */
  delete() {
    this._compiled.delete();
  }
}

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} cannot be loaded: ${response.status}.`);
  return response;
}
