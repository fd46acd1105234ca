// The maps of layers, live, and the filters of the first one beside them.

const GAP = 1; // pixels between the cells of a mosaic

/** Shows the maps of one layer, and its filters if they are known. */
export class LayerView {
  /**
   * @param {object} layer its name and shape, [height, width, count], as network.json says it
   * @param {ImageData[]} [filters] a picture of each of its filters
   */
  constructor(layer, filters) {
    const [height, width, count] = layer.shape;
    this._cell = {height, width};
    this._count = count;
    this._filters = filters;
    this._chosen = 0;
    this._name = layer.name;
    this.element = document.createElement("section");
    this.element.className = "layer";
    const title = add(this.element, "h2");
    title.textContent = `${layer.name}: ${count} maps of ${height} × ${width}`;
    const mosaics = add(this.element, "div", "mosaics");
    this._maps = this._mosaic(mosaics, `Maps: how strongly each filter answers at each place`);
    const closer = [["map", height, width]];
    if (filters) {
      const [{height: side}] = filters;
      this._kernels = this._mosaic(mosaics, `Filters of ${side} × ${side}: what each looks for`);
      closer.push(["filter", side, filters[0].width]);
    }
    this._pick();
    const row = add(this.element, "div", "closer");
    this._closer = closer.map(([kind, rows, columns]) => {
      const canvas = add(add(row, "figure"), "canvas", "pixels");
      [canvas.height, canvas.width] = [rows, columns];
      canvas.setAttribute("role", "img");
      add(canvas.parentElement, "figcaption").textContent = `This ${kind}`;
      return canvas;
    });
  }

  /** Shows new maps: {height, width, count, values}, as Classifier.run returns them. */
  show(maps) {
    this._pictures = pictures(maps);
    this._draw();
  }

  _mosaic(parent, caption) {
    const figure = add(parent, "figure", "mosaic");
    const canvas = add(figure, "canvas", "pixels");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${this._name}, ${this._count} of them. ${caption}`);
    add(figure, "figcaption").textContent = caption;
    canvas.addEventListener("pointermove", (event) => this._pointed(canvas, event));
    canvas.addEventListener("pointerdown", (event) => this._pointed(canvas, event));
    return canvas;
  }

  _pick() {
    const label = add(this.element, "label", "pick");
    this._number = add(label, "span");
    this._slider = add(label, "input");
    Object.assign(this._slider, {type: "range", min: 1, max: this._count, value: 1});
    this._slider.addEventListener("input", () => this._choose(this._slider.valueAsNumber - 1));
    this._say();
  }

  _say() {
    const both = this._filters ? "Map and filter" : "Map";
    this._number.textContent = `${both} ${this._chosen + 1} of ${this._count}`;
    this._slider.setAttribute("aria-valuetext", `${this._chosen + 1} of ${this._count}`);
  }

  _pointed(canvas, event) {
    const columns = columnsOf(this._count);
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const rows = Math.ceil(this._count / columns);
    const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    const index = row * columns + column;
    if (column < columns && index >= 0 && index < this._count) this._choose(index);
  }

  _choose(index) {
    if (index === this._chosen) return;
    this._chosen = index;
    this._slider.value = index + 1;
    this._say();
    this._draw();
  }

  _draw() {
    if (!this._pictures) return;
    drawMosaic(this._maps, this._pictures, this._chosen);
    const shown = [this._pictures];
    if (this._filters) {
      drawMosaic(this._kernels, this._filters, this._chosen);
      shown.push(this._filters);
    }
    this._closer.forEach((canvas, place) => {
      canvas.getContext("2d").putImageData(shown[place][this._chosen], 0, 0);
      canvas.setAttribute("aria-label",
        `${place ? "Filter" : "Map"} ${this._chosen + 1} of ${this._name}`);
    });
  }
}

/** Returns the pictures in a file that holds them one below the other. */
export async function stacked(address, count) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const height = canvas.height / count;
  return Array.from({length: count}, (_, index) =>
    context.getImageData(0, index * height, canvas.width, height));
}

// Each map on its own scale, as keras_alexnet.figures draws them: black is 0 and white its largest
// value; with values below 0, gray is 0.
function pictures({height, width, count, values}) {
  return Array.from({length: count}, (_, index) => {
    let [least, most] = [0, 0];
    for (let at = index; at < values.length; at += count) {
      least = Math.min(least, values[at]);
      most = Math.max(most, values[at]);
    }
    if (least < 0) most = Math.max(most, -least);
    const bottom = least < 0 ? -most : 0;
    const scale = most > bottom ? 255 / (most - bottom) : 0;
    const picture = new ImageData(width, height);
    for (let place = 0; place < height * width; place++) {
      picture.data.fill((values[place * count + index] - bottom) * scale, 4 * place, 4 * place + 3);
      picture.data[4 * place + 3] = 255;
    }
    return picture;
  });
}

function columnsOf(count) {
  return count <= 8 ? count : Math.min(16, Math.max(8, 4 * Math.ceil(Math.sqrt(count) / 4)));
}

function drawMosaic(canvas, cells, chosen) {
  const columns = columnsOf(cells.length);
  const [width, height] = [cells[0].width + GAP, cells[0].height + GAP];
  const factor = Math.max(1, Math.round(24 / width)); // small cells stay sharp
  const sides = [columns * width, Math.ceil(cells.length / columns) * height];
  const small = document.createElement("canvas");
  [small.width, small.height] = sides;
  const context = small.getContext("2d");
  cells.forEach((cell, index) => context.putImageData(
    cell, (index % columns) * width, Math.floor(index / columns) * height));
  [canvas.width, canvas.height] = sides.map((side) => side * factor);
  const large = canvas.getContext("2d");
  large.imageSmoothingEnabled = false;
  large.drawImage(small, 0, 0, canvas.width, canvas.height);
  large.strokeStyle = "#ff9d00"; // visible on black, gray and white
  large.lineWidth = Math.max(2, canvas.width / 250);
  large.strokeRect((chosen % columns) * width * factor,
    Math.floor(chosen / columns) * height * factor, width * factor, height * factor);
}

function add(parent, kind, name) {
  const element = document.createElement(kind);
  if (name) element.className = name;
  parent.append(element);
  return element;
}
