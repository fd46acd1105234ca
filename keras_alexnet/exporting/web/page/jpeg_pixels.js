// Makes pixels of a JPEG's coefficients, in whole numbers, with the same rounding as libjpeg: its
// accurate inverse transform, the reduced ones, its triangle filter for color, and its colors.

const BITS = 13; // after the point, of factors
const MORE = 2; // of what is between the columns and the rows

const work = new Int32Array(64); // a block, first of coefficients and at last of pixels

/** One component of the image. */
export class Plane {
  /**
   * @param {object} part its sampling factors, and its blocks as columns and rows
   * @param {object} frame of the image
   * @param {number} size what a side of a block becomes: 1, 2, 4 or 8
   * @param {number} least the same of the component with the most pixels
   */
  constructor(part, frame, size, least) {
    const {across, down, columns, rows} = part;
    const {widest, highest} = frame;
    [this._size, this._columns, this._stride] = [size, columns, columns * size];
    this._values = new Uint8ClampedArray(columns * rows * size ** 2);
    this._width = Math.ceil(frame.width * across * size / (widest * 8));
    this._height = Math.ceil(frame.height * down * size / (highest * 8));
    const [x, y] = [widest * least / (across * size), highest * least / (down * size)];
        [this._across, this._down] = [x, y];
    // libjpeg repeats pixels where it has no filter.
    const filters = least > 1 && x <= 2 && y <= 2 && (x === 1 || this._width > 2);
    [this._filtersX, this._filtersY] = [filters && x === 2, filters && y === 2];
  }

  /** Takes a block of coefficients. */
  add(block, values, quantization) {
    const row = Math.floor(block / this._columns);
    const start = (row * this._stride + block % this._columns) * this._size;
    transform(values, quantization, this._size);
    for (let y = 0; y < this._size; y++) {
      for (let x = 0; x < this._size; x++) {
        this._values[start + y * this._stride + x] = work[8 * y + x] + 128;
      }
    }
  }

  /** Writes a part of a row of the image, to whose size the plane is brought. */
  row(y, left, into) {
    const near = Math.floor(y / this._down);
    const from = Math.max(Math.floor(left / this._across) - 1, 0);
    const last = Math.floor((left + into.length - 1) / this._across) + 1;
    const sums = this._filteredDown(near, y % 2, from, Math.min(last, this._width - 1));
    const half = this._filtersY ? y % 2 ? 2 : 1 : 0; // for rounding
    const [shift, end] = [this._filtersY ? 2 : 0, this._width - 1];
    for (let x = 0; x < into.length; x++) {
      const [at, odd] = [Math.floor((left + x) / this._across), (left + x) % 2];
      const sum = sums[at - from];
      if (!this._filtersX) into[x] = sum + half >> shift;
      else {
        const other = odd ? Math.min(at + 1, end) : Math.max(at - 1, 0);
        const both = 3 * sum + sums[other - from];
        into[x] = this._filtersY ? both + (odd ? 7 : 8) >> 4 : both + (odd ? 2 : 1) >> 2;
      }
    }
  }

  _filteredDown(near, odd, from, last) {
    const first = near * this._stride;
    const sums = new Int32Array(last - from + 1);
    if (!this._filtersY) {
      sums.set(this._values.subarray(first + from, first + last + 1));
      return sums;
    }
    const far = odd ? Math.min(near + 1, this._height - 1) : Math.max(near - 1, 0);
    const second = far * this._stride;
    for (let at = from; at <= last; at++) {
      sums[at - from] = 3 * this._values[first + at] + this._values[second + at];
    }
    return sums;
  }
}

/** Returns what `decode` found as a source of squares.js. */
export function source({width, height, planes, isYcc, isInverted}) {
  const rows = (left, top, partWidth, partHeight) => {
    const pixels = new Uint8ClampedArray(partWidth * partHeight * 4);
    const lines = planes.map(() => new Uint8Array(partWidth));
    const [one, two, three] = planes.length === 1 ? [lines[0], lines[0], lines[0]] : lines;
    for (let y = 0; y < partHeight; y++) {
      planes.forEach((plane, index) => plane.row(top + y, left, lines[index]));
      const row = pixels.subarray(y * partWidth * 4, (y + 1) * partWidth * 4);
      for (let x = 0, place = 0; x < partWidth; x++, place += 4) {
        row[place + 3] = 255;
        if (isYcc) toRgb(row, place, one[x], two[x] - 128, three[x] - 128);
        else [row[place], row[place + 1], row[place + 2]] = [one[x], two[x], three[x]];
      }
      if (planes.length === 4) withoutBlack(row, lines[3], isYcc, isInverted);
    }
    return pixels;
  };
  return {width, height, rows};
}

function toRgb(row, place, luma, blue, red) {
  row[place] = luma + (91881 * red + 32768 >> 16);
  row[place + 1] = luma + (-22554 * blue - 46802 * red + 32768 >> 16);
  row[place + 2] = luma + (116130 * blue + 32768 >> 16);
}

// Cyan, magenta, yellow and black to colors, as TensorFlow does: Adobe's files have light in place
// of ink, and luma and color are of what is left of it.
function withoutBlack(row, black, isYcc, isInverted) {
  for (let place = 0; place < row.length; place++) {
    if (place % 4 === 3) continue;
    const ink = isYcc ? 255 - row[place] : row[place];
    const key = black[place >> 2];
    row[place] = Math.floor((isInverted ? key * ink : (255 - key) * (255 - ink)) / 255);
  }
}

const descaled = (value, bits) => value + (1 << (bits - 1)) >> bits;

/** Computes `size` by `size` pixels, less 128, in the corner of `work`. */
function transform(block, table, size) {
  if (size === 1) {
    work[0] = descaled(block[0] * table[0], 3);
    return;
  }
  for (let place = 0; place < 64; place++) work[place] = block[place] * table[place];
  const line = {2: two, 4: four, 8: eight}[size];
  for (let x = 0; x < 8; x++) line(x, 8, BITS - MORE);
  for (let y = 0; y < size; y++) line(8 * y, 1, BITS + MORE + 3);
}

// Each transforms eight values of `work` in their place, the first of which is at `at`.

function two(at, step, bits) {
  const whole = work[at] << BITS + 2;
  const odd = 29692 * work[at + step] - 10426 * work[at + 3 * step]
    + 6967 * work[at + 5 * step] - 5906 * work[at + 7 * step];
  work[at] = descaled(whole + odd, bits + 2);
  work[at + step] = descaled(whole - odd, bits + 2);
}

function four(at, step, bits) {
  const [v1, v3, v5, v7] = [work[at + step], work[at + 3 * step], work[at + 5 * step],
    work[at + 7 * step]];
  const whole = work[at] << BITS + 1;
  const even = 15137 * work[at + 2 * step] - 6270 * work[at + 6 * step];
  const inner = 8697 * v1 - 17799 * v3 + 11893 * v5 - 1730 * v7;
  const outer = 20995 * v1 + 7373 * v3 - 4926 * v5 - 4176 * v7;
  work[at] = descaled(whole + even + outer, bits + 1);
  work[at + step] = descaled(whole - even + inner, bits + 1);
  work[at + 2 * step] = descaled(whole - even - inner, bits + 1);
  work[at + 3 * step] = descaled(whole + even - outer, bits + 1);
}

function eight(at, step, bits) {
  const [v1, v2, v3, v4] = [work[at + step], work[at + 2 * step], work[at + 3 * step],
    work[at + 4 * step]];
  const [v5, v6, v7] = [work[at + 5 * step], work[at + 6 * step], work[at + 7 * step]];
  const [sum, difference] = [(work[at] + v4) << BITS, (work[at] - v4) << BITS];
  const turn = 4433 * (v2 + v6);
  const [inner, outer] = [turn - 15137 * v6, turn + 6270 * v2];
  const all = 9633 * (v1 + v3 + v5 + v7);
  const [a, b] = [-7373 * (v1 + v7), -20995 * (v3 + v5)];
  const [c, d] = [all - 16069 * (v3 + v7), all - 3196 * (v1 + v5)];
  both(at, at + 7 * step, sum + outer, 12299 * v1 + a + d, bits);
  both(at + step, at + 6 * step, difference + inner, 25172 * v3 + b + c, bits);
  both(at + 2 * step, at + 5 * step, difference - inner, 16819 * v5 + b + d, bits);
  both(at + 3 * step, at + 4 * step, sum - outer, 2446 * v7 + a + c, bits);
}

function both(one, other, even, odd, bits) {
  work[one] = descaled(even + odd, bits);
  work[other] = descaled(even - odd, bits);
}
