// How an image becomes an input of the network, pixel for pixel as keras_alexnet prepares it:
// keras_alexnet/data/squares.py and data/views.py say the same with TensorFlow.
//
// A source is {width, height, rows}, where rows(left, top, width, height) returns the opaque RGBA
// pixels of a part of the image, 4 bytes each.

const PIXELS_AT_ONCE = 2 ** 20; // of a source; the canvas of phones has at most 16 times as many
const BITS = 22; // after the point, of the weights of pixels in Pillow

/** Returns the input of the network: RGB bytes, plan.input_size squared times 3. */
export function prepare(source, plan) {
  const size = plan.square_size;
  const square = plan.resize === "antialiased_bilinear"
    ? antialiased(source, size, plan.warp)
    : plan.warp ? warped(source, size) : centered(source, size);
  const edge = Math.floor((size - plan.crop_size) / 2);
  const part = crop(square, size, edge, plan.crop_size);
  if (plan.crop_size === plan.input_size) return Uint8ClampedArray.from(part);
  const axis = bilinear(plan.crop_size, plan.input_size);
  return rounded(vertically(horizontally(bytes(part, plan.crop_size), axis), axis));
}

function centered(source, size) {
  const side = Math.min(source.width, source.height);
  const left = Math.floor((source.width - side) / 2);
  const top = Math.floor((source.height - side) / 2);
  const axis = side > size ? area(side, size) : bilinear(side, size);
  return rounded(vertically(horizontally(part(source, left, top, side, side), axis), axis));
}

function warped(source, size) {
  const width = Math.min(source.width, size);
  const height = Math.min(source.height, size);
  const whole = part(source, 0, 0, source.width, source.height);
  const reduced = vertically(horizontally(whole, area(source.width, width)),
    area(source.height, height));
  return rounded(vertically(horizontally(reduced, bilinear(width, size)), bilinear(height, size)));
}

function antialiased(source, size, warp) {
  const shortest = Math.min(source.width, source.height);
  const [width, height] = [source.width, source.height].map(
    (side) => (warp ? size : Math.floor((size * side) / shortest)));
  const columns = triangle(source.width, width, evenly((width - size) / 2), size);
  const rows = triangle(source.height, height, evenly((height - size) / 2), size);
  const whole = part(source, 0, 0, source.width, source.height);
  return vertically(horizontally(whole, columns, shifted), rows, shifted).values;
}

// Axes: for each new pixel, where the old ones begin that it is made of, and their weights.

function area(from, to) {
  const scale = from / to;
  return Array.from({length: to}, (_, place) => {
    const [start, end] = [place * scale, (place + 1) * scale];
    const first = Math.floor(start);
    const last = Math.min(Math.ceil(end), from);
    const weights = [];
    for (let at = first; at < last; at++) {
      weights.push((Math.min(at + 1, end) - Math.max(at, start)) / scale);
    }
    return {first, weights};
  });
}

function bilinear(from, to) {
  return Array.from({length: to}, (_, place) => {
    const at = (place + 0.5) * (from / to) - 0.5;
    const first = Math.max(Math.floor(at), 0);
    const last = Math.min(Math.ceil(at), from - 1);
    const weight = at - Math.floor(at);
    return {first, weights: last > first ? [1 - weight, weight] : [1]};
  });
}

function triangle(from, to, cut, count) {
  const scale = from / to;
  const reach = Math.max(scale, 1);
  return Array.from({length: count}, (_, place) => {
    const center = (place + cut + 0.5) * scale;
    const first = Math.max(Math.trunc(center - reach + 0.5), 0);
    const last = Math.min(Math.trunc(center + reach + 0.5), from);
    const weights = [];
    for (let at = first; at < last; at++) {
      weights.push(Math.max(1 - Math.abs((at - center + 0.5) * (1 / reach)), 0));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return {first, weights: weights.map((weight) => Math.trunc((weight / sum) * 2 ** BITS + 0.5))};
  });
}

// Images of any numbers are {width, height, values}, or have `strips` in place of values, so that a
// large photograph is never in memory twice.

function part(source, left, top, width, height) {
  const count = Math.max(1, Math.floor(PIXELS_AT_ONCE / width));
  const strips = function* () {
    for (let row = 0; row < height; row += count) {
      const rows = Math.min(count, height - row);
      yield {row, rows, values: source.rows(left, top + row, width, rows)};
    }
  };
  return {width, height, channels: 4, strips};
}

function bytes(values, side) {
  return {width: side, height: side, channels: 3, values};
}

function horizontally(image, axis, finish = (sum) => sum) {
  const values = new Float64Array(image.height * axis.length * 3);
  const strips = image.strips
    ? image.strips() : [{row: 0, rows: image.height, values: image.values}];
  let place = 0;
  for (const strip of strips) {
    for (let row = 0; row < strip.rows; row++) {
      for (const {first, weights} of axis) {
        const start = (row * image.width + first) * image.channels;
        for (let color = 0; color < 3; color++) {
          let sum = 0;
          for (let at = 0; at < weights.length; at++) {
            sum += weights[at] * strip.values[start + at * image.channels + color];
          }
          values[place++] = finish(sum);
        }
      }
    }
  }
  return {width: axis.length, height: image.height, channels: 3, values};
}

function vertically(image, axis, finish = (sum) => sum) {
  const stride = image.width * 3;
  const values = new Float64Array(axis.length * stride);
  axis.forEach(({first, weights}, row) => {
    for (let column = 0; column < stride; column++) {
      let sum = 0;
      for (let at = 0; at < weights.length; at++) {
        sum += weights[at] * image.values[(first + at) * stride + column];
      }
      values[row * stride + column] = finish(sum);
    }
  });
  return {width: image.width, height: axis.length, channels: 3, values};
}

function crop(pixels, side, edge, size) {
  const found = new Float64Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const start = ((row + edge) * side + edge) * 3;
    found.set(pixels.subarray(start, start + size * 3), row * size * 3);
  }
  return found;
}

// To whole numbers, as Pillow does: the sums fit exactly in a double.
const shifted = (sum) => Math.floor((sum + 2 ** (BITS - 1)) / 2 ** BITS);

// Halves to even numbers, as TensorFlow and Python do. A Float32Array rounds as TensorFlow's
// arithmetic does, so that a half is one here, too.
function rounded(image) {
  return Float32Array.from(image.values).map(evenly);
}

function evenly(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
