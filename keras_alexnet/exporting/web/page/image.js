// Reads pictures: files, pasted ones and frames of a camera become sources for squares.js.

import {decode, NotDecoded} from "./jpeg.js";
import {source as jpegSource} from "./jpeg_pixels.js";
import {orientationOf, turned} from "./orientation.js";

const JPEG = [0xff, 0xd8, 0xff]; // its first bytes

/** An error whose message is for the reader of the page. */
export class PictureError extends Error {}

/**
 * Reads a picture file, upright as its EXIF data say, and calls `use` with its source.
 *
 * @param {Blob} blob
 * @param {object} plan the network's image plan, which says how far a JPEG may be reduced
 * @param {number} mostPixels the largest picture that is read
 * @param {function} use what to do with the source; its result is returned
 */
export async function withPicture(blob, plan, mostPixels, use) {
  const name = blob.name ? `“${blob.name}”` : "What you gave";
  if (blob.size === 0) throw new PictureError(`${name} is empty.`);
  const check = (width, height) => {
    if (width * height <= mostPixels) return;
    throw new PictureError(`${name} has ${width} × ${height} pixels, more than the limit of ` +
      `${mostPixels.toLocaleString("en")}. Make it smaller.`);
  };
  const start = new Uint8Array(await blob.slice(0, JPEG.length).arrayBuffer());
  if (JPEG.every((byte, place) => byte === start[place])) {
    const source = jpeg(new Uint8Array(await blob.arrayBuffer()), plan, check);
    if (source) return use(source);
  }
  let bitmap;
  try {
    // Colors as they are in the file: profiles are not applied in training either.
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none",
    });
  } catch {
    throw new PictureError(
      `${name} is not a picture that this browser can read. Try a JPEG, PNG or WebP.`);
  }
  try {
    check(bitmap.width, bitmap.height);
    return use(sourceOf(bitmap, bitmap.width, bitmap.height));
  } finally {
    bitmap.close();
  }
}

/** Returns the source of a JPEG; nothing if the browser must decode it. */
function jpeg(bytes, plan, check) {
  // As Python: by as much as leaves the square its size, unless the plan promises all pixels.
  const ratioOf = (width, height) => {
    check(width, height);
    if (plan.resize !== "area") return 1;
    return [8, 4, 2].find((each) => Math.min(width, height) >= each * plan.square_size) ?? 1;
  };
  try {
    return turned(jpegSource(decode(bytes, ratioOf)), orientationOf(bytes));
  } catch (error) {
    if (error instanceof NotDecoded) return undefined;
    throw error;
  }
}

/** Returns the source of what a canvas can draw, such as a video that plays. */
export function sourceOf(drawable, width, height) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const rows = (left, top, partWidth, partHeight) => {
    // A part of the picture at a time: the canvas of some phones is smaller than their photographs.
    canvas.width = partWidth; // which also clears it
    canvas.height = partHeight;
    context.fillStyle = "white"; // behind what is transparent
    context.fillRect(0, 0, partWidth, partHeight);
    context.drawImage(drawable, left, top, partWidth, partHeight, 0, 0, partWidth, partHeight);
    return context.getImageData(0, 0, partWidth, partHeight).data;
  };
  return {width, height, rows};
}
