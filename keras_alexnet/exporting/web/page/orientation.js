// The EXIF orientation of a JPEG, and sources turned by it, as keras_alexnet/data/decoding does.

const [SEARCHED, SEGMENTS] = [2 ** 16, 64]; // bytes and segments at the beginning of the file
const [ORIENTATION, SHORT, LONG] = [0x0112, 3, 4];
const [UPSIDE_DOWN, MIRRORED] = [[3, 4, 7, 8], [2, 3, 6, 7]];

/** Returns the EXIF orientation of a JPEG, 1–8: 1 if there is none. */
export function orientationOf(bytes) {
  const head = new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, SEARCHED));
  try {
    for (let at = 2, count = 0; count < SEGMENTS; count++) {
      const marker = head.getUint8(at + 1);
      if (head.getUint8(at) !== 0xff || marker < 0xe0) return 1;
      const length = head.getUint16(at + 2);
      if (marker === 0xe1 && head.getUint32(at + 4) === 0x45786966 && !head.getUint16(at + 8)) {
        return inExif(bytes.subarray(at + 10, at + 2 + length));
      }
      at += marker === 0xff ? 1 : 2 + length; // any number of FF may precede a segment
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // beyond the end: damaged
  }
  return 1;
}

function inExif(bytes) {
  const exif = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const order = exif.getUint32(0);
  const little = order === 0x49492a00;
  if (!little && order !== 0x4d4d002a) return 1;
  const start = exif.getUint32(4, little);
  const stated = exif.getUint16(start, little);
  const count = Math.min(stated, Math.floor((bytes.length - start - 2) / 12));
  let found = 1;
  for (let at = start + 2; at < start + 2 + 12 * count; at += 12) {
    const kind = exif.getUint16(at + 2, little);
    const [tag, amount] = [exif.getUint16(at, little), exif.getUint32(at + 4, little)];
    if (tag !== ORIENTATION || amount !== 1 || (kind !== SHORT && kind !== LONG)) continue;
    const value = kind === SHORT ? exif.getUint16(at + 8, little) : exif.getUint32(at + 8, little);
    if (value >= 1 && value <= 8) found = value;
  }
  return found;
}

/** Returns a source of squares.js upright, of one that lies as an orientation says. */
export function turned(source, orientation) {
  if (orientation === 1) return source;
  const lies = orientation >= 5;
  const [width, height] = lies ? [source.height, source.width] : [source.width, source.height];
  const [down, across] = [UPSIDE_DOWN, MIRRORED].map((each) => each.includes(orientation));
  const rows = (left, top, partWidth, partHeight) => {
    const x = across ? width - left - partWidth : left;
    const y = down ? height - top - partHeight : top;
    const pixels = lies
      ? source.rows(y, x, partHeight, partWidth) : source.rows(x, y, partWidth, partHeight);
    const part = new Uint32Array(pixels.buffer);
    const found = new Uint32Array(part.length);
    for (let row = 0; row < partHeight; row++) {
      const from = down ? partHeight - 1 - row : row;
      for (let column = 0; column < partWidth; column++) {
        const at = across ? partWidth - 1 - column : column;
        const place = lies ? at * partHeight + from : from * partWidth + at;
        found[row * partWidth + column] = part[place];
      }
    }
    return new Uint8ClampedArray(found.buffer);
  };
  return {width, height, rows};
}
