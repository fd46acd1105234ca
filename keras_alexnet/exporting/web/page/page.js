// The page: takes pictures, and shows what the network says of them.

import {Camera} from "./camera.js";
import {Classifier} from "./classifier.js";
import {PictureError} from "./image.js";
import {LayerView, stacked} from "./layers.js";

const ADDRESS = new URL("./network.json", import.meta.url);
const SHOWN = 5; // classes

const the = (id) => document.getElementById(id);

let classifier;
let views = {};
let said; // the label that was announced last
let again; // shows the last picture once more, by another model

async function load(name) {
  the("status").textContent = "Loading the network …";
  const loaded = await Classifier.load(ADDRESS, name);
  classifier?.delete();
  classifier = loaded;
  const {model, threads} = {...classifier.network, threads: classifier.threads};
  const megabytes = (model.bytes / 1e6).toFixed(1);
  the("status").textContent = `Ready: ${model.name}, ${megabytes} MB, ` +
    `${threads} ${threads > 1 ? "threads" : "thread"}.`;
  for (const id of ["choose", "camera"]) the(id).disabled = false;
}

async function describe(network) {
  document.title = `${network.variant} in the browser`;
  the("title").textContent = network.variant;
  the("about").textContent = `${network.title}. ${network.labels.length} classes.`;
  for (const {name} of network.models) the("model").add(new Option(name, name));
  the("choice").hidden = network.models.length < 2;
  const side = network.image_plan.input_size;
  the("input").width = the("input").height = side;
  the("input-size").textContent = `${side} × ${side} pixels`;
  const {filters} = network;
  const kernels = filters && await stacked(new URL(filters.file, ADDRESS), filters.count);
  for (const layer of network.layers) {
    views[layer.name] = new LayerView(layer, filters?.layer === layer.name ? kernels : undefined);
    the("layers").append(views[layer.name].element);
  }
}

function show({pixels, classes, milliseconds, maps}) {
  the("answer").hidden = false;
  const shown = classes.slice(0, SHOWN);
  the("bars").replaceChildren(...shown.map(({label, probability}) => bar(label, probability)));
  the("time").textContent = `${milliseconds.toFixed(1)} ms`;
  drawInput(pixels);
  the("layers").hidden = Object.keys(maps).length === 0;
  for (const [name, values] of Object.entries(maps)) views[name].show(values);
  if (shown[0].label !== said || !camera.isOn) {
    said = shown[0].label;
    the("status").textContent =
      `Likeliest: ${said}, ${percent(shown[0].probability)}.`;
  }
}

function bar(label, probability) {
  const item = document.createElement("li");
  const name = document.createElement("div");
  name.className = "name";
  for (const text of [label, percent(probability)]) {
    name.append(Object.assign(document.createElement("span"), {textContent: text}));
  }
  // An attribute of SVG, because the page forbids styles that are not in its style sheet.
  const fill = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  fill.setAttribute("class", "fill");
  fill.setAttribute("aria-hidden", "true");
  const rectangle = fill.appendChild(document.createElementNS(fill.namespaceURI, "rect"));
  rectangle.setAttribute("width", `${100 * probability}%`);
  rectangle.setAttribute("height", "100%");
  const track = Object.assign(document.createElement("div"), {className: "track"});
  track.append(fill);
  item.append(name, track);
  return item;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

function drawInput(pixels) {
  const canvas = the("input");
  const picture = new ImageData(canvas.width, canvas.height);
  for (let place = 0; place < canvas.width * canvas.height; place++) {
    picture.data.set(pixels.subarray(3 * place, 3 * place + 3), 4 * place);
    picture.data[4 * place + 3] = 255;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
  canvas.setAttribute("aria-label",
    `Your picture in ${canvas.width} times ${canvas.width} pixels, as the network sees it`);
}

function explain(error) {
  if (!(error instanceof PictureError)) console.error(error);
  the("problem").textContent = error instanceof PictureError
    ? error.message : `That failed: ${error.message ?? error}`;
}

/** Does something that can fail, and says why if it does. */
async function attempt(action) {
  the("problem").textContent = "";
  try {
    await action();
  } catch (error) {
    explain(error);
  }
}

// What uses the network is done one after the other: it runs one picture at a time, and must not be
// replaced meanwhile.
let queue = Promise.resolve();

function inTurn(action) {
  queue = queue.then(() => attempt(action));
  return queue;
}

let given = 0; // pictures; one that came while another was read is shown in its place

function take(blob) {
  const number = ++given;
  turnCameraOff();
  return inTurn(async () => {
    if (number !== given) return;
    if (!classifier) throw new PictureError("The network is not loaded.");
    the("status").textContent = "Looking at the picture …";
    await new Promise((resolve) => setTimeout(resolve)); // for the line above to be seen
    const once = async () => show(await classifier.classify(blob));
    try {
      await once();
      again = once;
    } catch (error) {
      the("status").textContent = the("answer").hidden ? "" : "The picture before is still shown.";
      throw error;
    }
  });
}

const camera = new Camera(the("video"), (source) => inTurn(async () => {
  if (!camera.isOn) return;
  try {
    show(await classifier.classifySource(source));
  } catch (error) {
    turnCameraOff();
    throw error;
  }
}));

function turnCameraOff() {
  camera.stop();
  the("camera").setAttribute("aria-pressed", "false");
  the("camera").textContent = "Use the camera";
}

the("camera").addEventListener("click", () => attempt(async () => {
  if (camera.isOn) return turnCameraOff();
  if (!await camera.start()) return;
  the("camera").setAttribute("aria-pressed", "true");
  the("camera").textContent = "Stop the camera";
}));

the("choose").addEventListener("click", () => the("file").click());

the("file").addEventListener("change", ({target}) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  if (file) take(file);
});

the("model").addEventListener("change", ({target}) => inTurn(async () => {
  try {
    await load(target.value);
  } catch (error) {
    target.value = classifier.network.model.name;
    the("status").textContent = `${target.value} is still used.`;
    throw error;
  }
  if (!camera.isOn) await again?.();
}));

/** Takes the first picture of what was dropped or pasted. */
function takeFrom(transfer, verb) {
  const files = [...transfer?.files ?? []];
  const file = files.find(({type}) => type.startsWith("image/")) ?? files[0];
  if (file) return take(file);
  return attempt(() => {
    throw new PictureError(`What was ${verb} is not a picture file. Save it, and choose the file.`);
  });
}

document.addEventListener("paste", (event) => takeFrom(event.clipboardData, "pasted"));
document.addEventListener("dragover", (event) => {
  event.preventDefault(); // without which the browser opens the picture
  the("drop").classList.add("over");
});
document.addEventListener("dragleave", () => the("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  the("drop").classList.remove("over");
  takeFrom(event.dataTransfer, "dropped");
});

await inTurn(async () => {
  await load();
  await describe(classifier.network);
});
if (!classifier) the("status").textContent = "The network is not loaded.";
