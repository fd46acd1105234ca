// Decodes JPEGs, pixel for pixel as libjpeg does for Python. Browsers decode them whole, and each
// in its own way; Python's decoder reduces large ones by 2, 4 or 8 in its inverse transform, and
// almost every input would differ.
//
// This module reads the file's markers, jpeg_scan.js the coefficients, jpeg_bits.js their bits, and
// jpeg_pixels.js makes pixels of them.

import {Bits, codes, NotDecoded, RESTART} from "./jpeg_bits.js";
import {Plane} from "./jpeg_pixels.js";
import {baseline, decodeUnits, progressive, TO_PLACE} from "./jpeg_scan.js";

export {NotDecoded};

const [SOI, EOI, SOS] = [0xd8, 0xd9, 0xda];
const [DHT, DQT, DRI, JFIF, ADOBE] = [0xc4, 0xdb, 0xdd, 0xe0, 0xee];
const RARE = "It is of a rare kind.";
const [BASELINE, EXTENDED, PROGRESSIVE] = [0xc0, 0xc1, 0xc2];
/**
 * Decodes a JPEG.
 *
 * @param {Uint8Array} bytes the file
 * @param {function} ratioOf (width, height) → by what it is reduced: 1, 2, 4 or 8
 * @returns {object} width and height of the reduced image; planes, one, three or four; isYcc,
 *     whether three of them are luma and two of color; and isInverted, whether four are of light
 */
export function decode(bytes, ratioOf) {
  const reader = new Reader(bytes);
  const {frame} = reader.read();
  const ratio = ratioOf(frame.width, frame.height);
  reader.decode(8 / ratio);
  const planes = frame.components.map(({plane}) => plane);
  const [width, height] = [frame.width, frame.height].map((side) => Math.ceil(side / ratio));
  return {width, height, planes, isYcc: reader.isYcc(), isInverted: reader.isFromAdobe};
}

class Reader {
  constructor(bytes) {
    this._bytes = bytes;
    this._quantization = [];
    this._tables = {0: [], 1: []}; // of the first coefficient, and of the others
    this._restart = 0;
  }

  /** Reads the markers before the first scan. */
  read() {
    this._at = 2;
    while (!this._segment((marker) => marker === SOS));
    if (!this.frame) throw new NotDecoded("It has no frame.");
    return this;
  }

  /** Reads all scans; the pixels of a whole image become `size` by `size` for each block of 8. */
  decode(size) {
    const {components, highest, widest} = this.frame;
    for (const part of components) {
      part.plane = new Plane(part, this.frame, componentSize(part, size, widest, highest), size);
      if (this.frame.isProgressive) {
        part.blocks = new Int16Array(part.columns * part.rows * 64);
        part.known = new Int8Array(64).fill(-1);
      }
    }
    do {
      this._scan();
      while (!this._segment((marker) => marker === EOI || marker === SOS));
    } while (this._marker === SOS);
    for (const part of components) {
      if (!part.quantization) throw new NotDecoded("A component has no scan.");
      if (!this.frame.isProgressive) continue;
      // libjpeg guesses what the scans leave out.
      if (part.known.some((bits) => bits !== 0)) throw new NotDecoded("Scans are missing.");
      for (let block = 0; block < part.columns * part.rows; block++) {
        part.plane.add(block, part.blocks.subarray(64 * block, 64 * block + 64), part.quantization);
      }
      part.blocks = undefined;
    }
  }

  /** Says how libjpeg understands the components. */
  isYcc() {
    const {length} = this.frame.components;
    if (length === 4) return this.isFromAdobe && this._transform !== 0;
    if (length === 1 || this._hasJfif) return length === 3;
    if (this.isFromAdobe) return this._transform !== 0;
    return this.frame.components.map(({id}) => id).join() !== "82,71,66"; // R, G, B
  }

  /** Reads the next segment, and says whether it is the one that is looked for. */
  _segment(isWanted) {
    const bytes = this._bytes;
    if (bytes[this._at] !== 0xff) throw new NotDecoded("There is no marker.");
    while (bytes[this._at] === 0xff) this._at++;
    const marker = this._marker = bytes[this._at++];
    if (isWanted(marker)) return true;
    const length = this._number(this._at);
    const [start, end] = [this._at + 2, this._at + length];
    if (!(marker >= BASELINE) || (marker >= RESTART && marker <= SOI) || length < 2
      || end > bytes.length) {
      throw new NotDecoded("A segment is damaged.");
    }
    this._at = end;
    if (marker === DQT) this._readQuantization(start, end);
    else if (marker === DHT) this._readCodes(start, end);
    else if (marker === DRI) this._restart = this._number(start);
    else if (marker === JFIF) this._hasJfif ||= startsWith(bytes, start, "JFIF\0");
    else if (marker === ADOBE && startsWith(bytes, start, "Adobe")) {
      [this.isFromAdobe, this._transform] = [true, bytes[start + 11]];
    } else if (marker >= BASELINE && marker <= 0xcf && marker !== 0xc8) {
      this._readFrame(marker, start);
    }
    return false;
  }

  _number(at) {
    return this._bytes[at] << 8 | this._bytes[at + 1];
  }

  _readQuantization(start, end) {
    for (let at = start; at < end;) {
      const [is16, id] = [this._bytes[at] >> 4, this._bytes[at++] & 15];
      const table = this._quantization[id] = new Int32Array(64);
      for (const place of TO_PLACE) {
        table[place] = is16 ? this._number(at) : this._bytes[at];
        at += is16 ? 2 : 1;
      }
    }
  }

  _readCodes(start, end) {
    for (let at = start; at < end;) {
      const [kind, id] = [this._bytes[at] >> 4, this._bytes[at] & 15];
      const counts = this._bytes.subarray(at + 1, at + 17);
      const count = counts.reduce((sum, each) => sum + each, 0);
      const values = this._bytes.subarray(at + 17, at + 17 + count);
      if (kind > 1 || at + 17 + count > end) throw new NotDecoded("Its codes are damaged.");
      this._tables[kind][id] = codes(counts, values);
      at += 17 + count;
    }
  }

  _readFrame(marker, start) {
    const bytes = this._bytes;
    const [height, width] = [this._number(start + 1), this._number(start + 3)];
    const count = bytes[start + 5];
    if (this.frame || ![BASELINE, EXTENDED, PROGRESSIVE].includes(marker) || bytes[start] !== 8
      || !height || !width || ![1, 3, 4].includes(count)) {
      throw new NotDecoded(RARE);
    }
    const components = Array.from({length: count}, (_, index) => {
      const at = start + 6 + 3 * index;
      const [id, across, down] = [bytes[at], bytes[at + 1] >> 4, bytes[at + 1] & 15];
      return {id, across, down, table: bytes[at + 2]};
    });
    const widest = Math.max(...components.map(({across}) => across));
    const highest = Math.max(...components.map(({down}) => down));
    const across = Math.ceil(width / (8 * widest));
    const down = Math.ceil(height / (8 * highest));
    for (const part of components) {
      if (!part.across || !part.down) throw new NotDecoded("Its frame is damaged.");
      if (widest % part.across || highest % part.down) throw new NotDecoded(RARE);
      [part.columns, part.rows] = [across * part.across, down * part.down];
    }
    this.frame = {width, height, components, widest, highest, across, down,
      isProgressive: marker === PROGRESSIVE};
  }

  _scan() {
    const bytes = this._bytes;
    const {frame} = this;
    const [length, count] = [this._number(this._at), bytes[this._at + 2]];
    const parts = Array.from({length: count}, (_, index) => {
      const at = this._at + 3 + 2 * index;
      const part = frame.components.find(({id}) => id === bytes[at]);
      if (!part) throw new NotDecoded("A scan is damaged.");
      part.first = this._tables[0][bytes[at + 1] >> 4];
      part.others = this._tables[1][bytes[at + 1] & 15];
      part.quantization ??= this._quantization[part.table]?.slice();
      if (!part.quantization) throw new NotDecoded("A table is missing.");
      return part;
    });
    const [from, to, bits] = bytes.subarray(this._at + 3 + 2 * count, this._at + 6 + 2 * count);
    const scan = {from, to, low: bits & 15, isFirst: bits >> 4 === 0, run: 0};
    if (to > 63 || from > to) throw new NotDecoded("A scan is damaged.");
    for (const {known} of parts) known?.fill(scan.low, from, to + 1);
    const stream = new Bits(bytes, this._at + length);
    const decodeBlock = frame.isProgressive ? progressive(stream, scan) : baseline(stream);
    this._at = decodeUnits(stream, scan, parts, frame, this._restart, decodeBlock);
  }
}

// What a side of a block of 8 by 8 becomes: as in libjpeg, more than `size` where a component has
// fewer pixels than the image, so that it need not be enlarged.
function componentSize({across, down}, size, widest, highest) {
  let found = size;
  while (found < 8 && (widest * size) % (across * found * 2) === 0
    && (highest * size) % (down * found * 2) === 0) found *= 2;
  return found;
}

function startsWith(bytes, start, text) {
  return [...text].every((letter, index) => bytes[start + index] === letter.charCodeAt(0));
}
