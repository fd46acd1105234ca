// Reads pictures: files, pasted ones and frames of a camera become sources for squares.js.

const JPEG = [0xff, 0xd8, 0xff]; // its first bytes

/** An error whose message is for the reader of the page. */
export class PictureError extends Error {}

/**
 * Reads a picture file, upright as its EXIF data say, and calls `use` with its source.
 *
 * @param {Blob} blob
 * @param {number} mostPixels the largest picture that is read
 * @param {function} use what to do with the source; its result is returned
 */
export async function withPicture(blob, mostPixels, use) {
  const name = blob.name ? `“${blob.name}”` : "What you gave";
  if (blob.size === 0) throw new PictureError(`${name} is empty.`);
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
    if (bitmap.width * bitmap.height > mostPixels) {
      throw new PictureError(
        `${name} has ${bitmap.width} × ${bitmap.height} pixels, more than the limit of ` +
        `${mostPixels.toLocaleString("en")}. Make it smaller.`);
    }
    const start = new Uint8Array(await blob.slice(0, 3).arrayBuffer());
    const isJpeg = JPEG.every((byte, place) => byte === start[place]);
    return use({...sourceOf(bitmap, bitmap.width, bitmap.height), isJpeg});
  } finally {
    bitmap.close();
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
