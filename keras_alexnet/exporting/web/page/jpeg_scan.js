// Reads the coefficients of a JPEG: all units of a scan, one block after the other.

export const TO_PLACE = [ // of a coefficient in its block, by its number in the file
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
  13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52,
  45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/** Decodes all units of a scan, and returns where it ends. */
export function decodeUnits(stream, scan, parts, frame, restart, decodeBlock) {
  const alone = parts.length === 1 ? parts[0] : undefined;
  // A component that is alone has no blocks that only fill its last units.
  const across = alone
    ? Math.ceil(Math.ceil(frame.width * alone.across / frame.widest) / 8) : frame.across;
  const down = alone
    ? Math.ceil(Math.ceil(frame.height * alone.down / frame.highest) / 8) : frame.down;
  const spare = new Int16Array(64);
  const decodeOne = (part, column, row) => {
    const block = row * part.columns + column;
    if (part.blocks) {
      decodeBlock(part, part.blocks.subarray(64 * block, 64 * block + 64));
    } else {
      spare.fill(0);
      decodeBlock(part, spare);
      part.plane.add(block, spare, part.quantization);
    }
  };
  for (let unit = 0; unit < across * down; unit++) {
    if (unit === 0 || (restart && unit % restart === 0)) {
      if (unit) stream.restart(unit / restart - 1);
      scan.run = 0;
      for (const part of parts) part.before = 0;
    }
    const [column, row] = [unit % across, Math.floor(unit / across)];
    if (alone) {
      decodeOne(alone, column, row);
      continue;
    }
    for (const part of parts) {
      for (let y = 0; y < part.down; y++) {
        for (let x = 0; x < part.across; x++) {
          decodeOne(part, column * part.across + x, row * part.down + y);
        }
      }
    }
  }
  return stream.end();
}

/** Returns the function that reads a whole block. */
export const baseline = (stream) => (part, block) => {
  block[0] = part.before += stream.number(stream.decode(part.first));
  for (let at = 1; at < 64; at++) {
    const code = stream.decode(part.others);
    const size = code & 15;
    if (size === 0 && code < 0xf0) return;
    at += code >> 4;
    if (size) block[TO_PLACE[at]] = stream.number(size);
  }
};

/** Returns the function that reads what a progressive scan has of a block. */
export function progressive(stream, scan) {
  const {from, to, low, isFirst} = scan;
  if (from === 0) {
    return isFirst
      ? (part, block) => {
        block[0] = (part.before += stream.number(stream.decode(part.first))) << low;
      }
      : (part, block) => { block[0] |= stream.bits(1) << low; };
  }
  const endOfRun = (code) => (1 << (code >> 4)) + stream.bits(code >> 4);
  if (isFirst) {
    return (part, block) => {
      if (scan.run > 0) return void scan.run--;
      for (let at = from; at <= to; at++) {
        const code = stream.decode(part.others);
        const size = code & 15;
        if (size === 0 && code < 0xf0) return void (scan.run = endOfRun(code) - 1);
        at += code >> 4;
        if (size) block[TO_PLACE[at]] = stream.number(size) << low;
      }
    };
  }
  const step = 1 << low;
  const refine = (block, place) => {
    if (stream.bits(1) && (block[place] & step) === 0) {
      block[place] += block[place] > 0 ? step : -step;
    }
  };
  return (part, block) => {
    let at = from;
    for (; scan.run === 0 && at <= to; at++) {
      const code = stream.decode(part.others);
      let zeros = code >> 4;
      if ((code & 15) === 0 && zeros < 15) {
        scan.run = endOfRun(code);
        break;
      }
      const value = code & 15 && (stream.bits(1) ? step : -step);
      for (; at <= to; at++) {
        if (block[TO_PLACE[at]] !== 0) refine(block, TO_PLACE[at]);
        else if (zeros-- === 0) break;
      }
      if (value && at <= to) block[TO_PLACE[at]] = value;
    }
    if (scan.run === 0) return;
    for (; at <= to; at++) if (block[TO_PLACE[at]] !== 0) refine(block, TO_PLACE[at]);
    scan.run--;
  };
}
