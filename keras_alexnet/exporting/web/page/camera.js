// The camera: asks for it, plays it, and hands on one frame after the other.

import {PictureError, sourceOf} from "./image.js";

const REASONS = {
  NotAllowedError: "The browser was not allowed to use the camera. Allow it beside the address " +
    "of this page, and try again.",
  NotFoundError: "This device has no camera that the browser finds.",
  NotReadableError: "Another program is using the camera.",
};

export class Camera {
  /**
   * @param {HTMLVideoElement} video where it is shown
   * @param {function} use called with the source of each frame, one after the other
   */
  constructor(video, use) {
    this._video = video;
    this._use = use;
    this._stream = undefined;
  }

  get isOn() {
    return this._stream !== undefined;
  }

  /**
   * Starts it; frames are used until `stop`. Raises a PictureError if there is no camera, and
   * returns whether it was started: not while the browser still asks whether it may be used.
   */
  async start() {
    if (this._isAsking) return false;
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new PictureError(
        "Browsers give the camera only to pages from https:// or from localhost.");
    }
    this._isAsking = true;
    try {
      this._stream = await navigator.mediaDevices.getUserMedia(
        {audio: false, video: {facingMode: "environment"}});
    } catch (error) {
      throw new PictureError(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
    } finally {
      this._isAsking = false;
    }
    this._video.srcObject = this._stream;
    this._video.hidden = false;
    await this._video.play();
    this._next();
    return true;
  }

  stop() {
    this._stream?.getTracks().forEach((track) => track.stop());
    this._stream = undefined;
    this._video.srcObject = null;
    this._video.hidden = true;
  }

  _next() {
    requestAnimationFrame(async () => {
      if (!this.isOn) return;
      const {videoWidth: width, videoHeight: height} = this._video;
      if (width > 0) await this._use(sourceOf(this._video, width, height));
      this._next();
    });
  }
}
