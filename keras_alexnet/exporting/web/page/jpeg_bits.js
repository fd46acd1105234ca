// The bits of a JPEG's scan, and its Huffman codes.

export const RESTART = 0xd0; // the first of eight markers
const QUICK = 9; // bits of the codes that one look finds

/** What this decoder leaves to the browser's: rare kinds of JPEG, and damaged ones. */
export class NotDecoded extends Error {}

/** The bits of a scan, and the codes and numbers in them. */
export class Bits {
  constructor(bytes, at) {
    [this._bytes, this._at] = [bytes, at];
    this.clear();
  }

  clear() {
    this._held = this._count = this._invented = 0;
  }

  _fill() {
    while (this._count <= 16) {
      let byte = this._bytes[this._at];
      if (byte === 0xff && this._bytes[this._at + 1] === 0) this._at += 2;
      else if (byte === undefined || byte === 0xff) { // a marker: nothing more to read
        byte = 0;
        this._invented += 8;
      } else this._at++;
      this._held = this._held << 8 | byte;
      this._count += 8;
    }
  }

  bits(size) {
    if (this._count < size) this._fill();
    this._count -= size;
    return this._held >> this._count & (1 << size) - 1;
  }

  /** Reads a number of so many bits, whose first bit says whether it is positive. */
  number(size) {
    if (size === 0) return 0;
    const value = this.bits(size);
    return value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
  }

  decode(table) {
    if (!table) throw new NotDecoded("A table is missing.");
    if (this._count < 16) this._fill();
    const quick = table.quick[this._held >> (this._count - QUICK) & (1 << QUICK) - 1];
    if (quick) {
      this._count -= quick >> 8;
      return quick & 255;
    }
    for (let size = QUICK + 1; size <= 16; size++) {
      const code = this._held >> (this._count - size) & (1 << size) - 1;
      if (code < table.ends[size]) {
        this._count -= size;
        return table.values[table.places[size] + code];
      }
    }
    throw new NotDecoded("A code is damaged.");
  }

  restart(number) {
    const at = this.end();
    if (this._bytes[at] !== 0xff || this._bytes[at + 1] !== RESTART + number % 8) {
      throw new NotDecoded("A restart is missing.");
    }
    this._at = at + 2;
    this.clear();
  }

  /** Returns where the next marker is. */
  end() {
    if (this._count < this._invented) throw new NotDecoded("Data are missing.");
    if (this._count - this._invented >= 8) throw new NotDecoded("There are too many data.");
    return this._at;
  }
}

/** Returns a table of codes: how many there are of 1 to 16 bits, and what they mean. */
export function codes(counts, values) {
  const table = {values, quick: new Uint16Array(1 << QUICK), ends: [0], places: [0]};
  let [code, place] = [0, 0];
  for (let size = 1; size <= 16; size++) {
    table.places[size] = place - code;
    for (let each = 0; each < counts[size - 1]; each++, code++, place++) {
      if (size > QUICK) continue;
      const start = code << (QUICK - size);
      table.quick.fill(size << 8 | values[place], start, start + (1 << (QUICK - size)));
    }
    table.ends[size] = code;
    code <<= 1;
  }
  return table;
}
