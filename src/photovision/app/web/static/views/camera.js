// The camera, opened by a click only: a live answer below the picture, and a button that keeps a picture.
import { el, fill } from "../dom.js";
import { Boxes, Layer } from "./overlay.js";

const PAUSE = 300; // milliseconds between two live answers

/**
 * answer(blob, {live, boxes, layer, signal}) shows the answer for a frame, keep(file) takes a picture, closed() is told of
 * the end; facing is "environment" or "user", where a device has two cameras.
 */
export async function openCamera(place, { answer, keep, closed, facing = "environment" }) {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("This browser gives pages no camera here: open the page at 127.0.0.1.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } }, audio: false });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? "The camera was not allowed: allow it beside the page's address." : "No camera was found.");
  }
  const video = el("video", { autoplay: true, muted: true, playsinline: true, "aria-label": "What the camera sees" });
  video.muted = true;
  video.srcObject = stream;
  const live = el("p", { class: "live-answer" }, "…");
  const boxes = new Boxes(), layer = new Layer();
  const screen = el("div", { class: "screen" }, video, layer.element, boxes.element);
  video.addEventListener("loadedmetadata", () => screen.style.setProperty("--ratio", video.videoWidth / video.videoHeight));
  const ended = new AbortController();
  const close = () => {
    ended.abort();
    for (const track of stream.getTracks()) track.stop();
    fill(place);
    closed();
  };
  const frame = () =>
    new Promise((done) => {
      const canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob(done, "image/jpeg", 0.95);
    });
  const take = async () => {
    if (!video.videoWidth) return;
    keep(new File([await frame()], `camera ${new Date().toLocaleTimeString("en-GB")}.jpg`, { type: "image/jpeg" }));
  };
  const shutter = el("button", { type: "button", class: "button primary", onclick: take }, "Keep this picture");
  const end = el("button", { type: "button", class: "button", onclick: close }, "Close the camera");
  fill(place, el("section", { class: "camera sheet", "aria-label": "Camera" }, screen, el("div", { class: "camera-side" }, live, el("div", { class: "bar" }, shutter, end))));
  shutter.focus();
  watch({ video, frame, live, boxes, layer, answer }, ended.signal);
  return { close };
}

async function watch({ video, frame, live, boxes, layer, answer }, signal) {
  while (!signal.aborted) {
    await new Promise((done) => setTimeout(done, PAUSE));
    if (signal.aborted || !video.videoWidth || document.hidden) continue;
    try {
      await answer(await frame(), { live, boxes, layer, signal });
    } catch (error) {
      if (error.name !== "AbortError") live.textContent = error.message;
    }
  }
}
