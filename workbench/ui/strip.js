// A picture from anywhere on the page goes the way of the upload button, past the same checks.
const input = () => document.querySelector("input[data-testid='Upload-upload-button']");
const give = (file) => {
  const files = new DataTransfer();
  files.items.add(file);
  input().files = files.files;
  input().dispatchEvent(new Event("change", {bubbles: true}));
};
const pictureIn = (files) => [...(files ?? [])].find((file) => file.type.startsWith("image/"));
// Places that take files themselves.
const taken = (target) => target.closest?.("input, textarea, [data-testid='file'], .image-container, .dropzone, button.center, #edit-painting");

document.addEventListener("paste", (event) => {
  const file = pictureIn(event.clipboardData?.files);
  if (file && !taken(event.target)) give(file);
});
document.addEventListener("dragover", (event) => {
  if (!taken(event.target)) event.preventDefault();
});
document.addEventListener("drop", (event) => {
  if (taken(event.target)) return;
  event.preventDefault();
  const file = event.dataTransfer?.files?.[0];
  if (file) give(file);
});

// A look through the camera, until a picture is taken.
async function look() {
  const dialog = document.createElement("dialog");
  dialog.className = "strip-camera";
  dialog.innerHTML = "<video autoplay playsinline muted></video><p></p><div><button value='take'>Take the picture</button>"
    + "<button value='close'>Close</button></div>";
  const [video, said] = [dialog.querySelector("video"), dialog.querySelector("p")];
  element.append(dialog);
  dialog.showModal();
  let stream = null;
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => {
    const what = event.target.value;
    if (what === "take" && video.videoWidth) {
      const canvas = Object.assign(document.createElement("canvas"), {width: video.videoWidth, height: video.videoHeight});
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => give(new File([blob], "camera.png", {type: "image/png"})));
    }
    if (what) dialog.close();
  });
  try {
    stream = video.srcObject = await navigator.mediaDevices.getUserMedia({video: true});
  } catch (error) {
    said.textContent = "The camera cannot be used: " + error.message;
  }
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.example) trigger('example', {number: Number(button.dataset.example)});
  if (button?.dataset.way === "file") input().click();
  if (button?.dataset.way === "camera") look();
});
