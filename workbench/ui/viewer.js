// One viewer for pictures of one size; viewer.py says what its value holds. Every frame shows the same place: `zoom` is 1
// where the whole picture fits, (x, y) is the place in the middle as fractions of the picture, `split` is where the two
// pictures meet, `gain` what a difference is multiplied by.
const root = element.querySelector(".viewer");
const stage = root.querySelector(".viewer-stage");
const picker = (side) => root.querySelector(`select[data-side=${side}]`);
const state = {mode: root.dataset.mode, zoom: 1, x: 0.5, y: 0.5, split: 0.5, gain: 4};
const [MOST, STEP] = [64, 1.25];
let items = [], width = 1, height = 1, beat = 0;

const address = (item) => item.source.url ?? item.source;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const make = (tag, settings = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), settings);
  made.append(...children);
  return made;
};

// ---- what is laid out

function caption(item) {
  const save = make("a", {href: address(item), download: item.file, textContent: "Save", title: item.file});
  const scale = item.scale ? [make("span", {className: "viewer-scale", textContent: item.scale})] : [];
  return make("figcaption", {}, make("b", {textContent: item.name}), " ", item.note, " ", save, ...scale);
}

function figure(list) {
  const pictures = list.map((item) => make("img", {src: address(item), alt: item.name, draggable: false}));
  const frame = make("div", {className: "viewer-frame"}, ...pictures, make("div", {className: "viewer-grid"}));
  if (state.mode === "split") frame.append(knob());
  return make("figure", {}, frame, make("div", {className: "viewer-captions"}, ...list.map(caption)));
}

function knob() {
  const made = make("div", {className: "viewer-knob", tabIndex: 0});
  for (const [name, value] of Object.entries({role: "slider", "aria-label": "where the two pictures meet",
    "aria-valuemin": 0, "aria-valuemax": 100})) made.setAttribute(name, value);
  return made;
}

function layOut() {
  const pair = ["left", "right"].map((side) => items[picker(side).selectedIndex] ?? items[0]);
  root.dataset.mode = state.mode;
  root.dataset.empty = !items.length;
  for (const button of root.querySelectorAll("button[data-mode]"))
    button.setAttribute("aria-pressed", button.dataset.mode === state.mode);
  const lists = {all: items.map((item) => [item]), sides: pair.map((item) => [item])}[state.mode] ?? [pair];
  stage.replaceChildren(...(items.length ? lists.map(figure) : []));
  clearInterval(beat);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (state.mode === "flicker" && !still) beat = setInterval(() => stage.classList.toggle("other"), 700);
  stage.classList.remove("other");
  draw();
}

// ---- where everything stands

function scaleOf(frame) {
  return state.zoom * Math.min(frame.clientWidth / width, frame.clientHeight / height);
}

function draw() {
  for (const frame of stage.querySelectorAll(".viewer-frame")) {
    frame.style.height = `${Math.min(frame.clientWidth * height / width, Math.max(innerHeight * 0.72, 240))}px`;
    const scale = scaleOf(frame), [w, h] = [frame.clientWidth, frame.clientHeight];
    const half = [w / (2 * width * scale), h / (2 * height * scale)];
    state.x = half[0] >= 0.5 ? 0.5 : clamp(state.x, half[0], 1 - half[0]);
    state.y = half[1] >= 0.5 ? 0.5 : clamp(state.y, half[1], 1 - half[1]);
    const [left, top] = [w / 2 - state.x * width * scale, h / 2 - state.y * height * scale];
    frame.querySelectorAll("img").forEach((image, number) => {
      image.style.cssText = `width:${width * scale}px;height:${height * scale}px;transform:translate(${left}px,${top}px);`
        + `image-rendering:${scale > 1.5 ? "pixelated" : "auto"};`;
      if (number && state.mode === "split") {
        const cut = clamp((state.split * w - left) / (width * scale), 0, 1);
        image.style.clipPath = `inset(0 0 0 ${100 * cut}%)`;
      }
    });
    const grid = frame.querySelector(".viewer-grid");
    grid.hidden = scale < 10;
    grid.style.backgroundSize = `${scale}px ${scale}px`;
    grid.style.backgroundPosition = `${left}px ${top}px`;
    const bar = frame.querySelector(".viewer-knob");
    if (bar) {
      bar.style.left = `${100 * state.split}%`;
      bar.setAttribute("aria-valuenow", Math.round(100 * state.split));
    }
    frame.style.filter = state.mode === "difference" ? `brightness(${state.gain})` : "";
  }
  stage.classList.toggle("zoomed", state.zoom > 1);
  root.querySelector(".viewer-zoom").textContent = `${Number(state.zoom.toPrecision(2))}×`;
}

// Zoom by a factor and keep what lies under a place of a frame, given in pixels of the page, where it is.
function zoomBy(factor, frame, at) {
  frame ??= stage.querySelector(".viewer-frame");
  if (!frame) return;
  const box = frame.getBoundingClientRect(), before = scaleOf(frame);
  const from = at ? [at[0] - box.left - box.width / 2, at[1] - box.top - box.height / 2] : [0, 0];
  state.zoom = clamp(state.zoom * factor, 1, MOST);
  const gained = 1 / before - 1 / scaleOf(frame);
  moveBy(from[0] * gained / width, from[1] * gained / height);
}

function moveBy(x, y) {
  state.x += x;
  state.y += y;
  draw();
}

function splitAt(place) {
  state.split = clamp(place, 0, 1);
  draw();
}

function choose(mode) {
  state.mode = mode;
  layOut();
}

// ---- pointer

const held = new Map();
let reach = 0, moving = "";
const frameOf = (event) => event.target.closest(".viewer-frame");
const spread = () => {
  const [a, b] = [...held.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
};

stage.addEventListener("pointerdown", (event) => {
  const frame = frameOf(event);
  if (!frame || event.button) return;
  held.set(event.pointerId, [event.clientX, event.clientY]);
  const onKnob = event.target.closest(".viewer-knob");
  moving = held.size === 2 ? "pinch" : state.mode === "split" && (onKnob || state.zoom === 1) ? "split" : "pan";
  if (moving === "pinch") reach = spread();
  if (event.pointerType === "mouse") frame.setPointerCapture(event.pointerId);
  if (moving === "split") follow(frame, event);
});
const follow = (frame, event) => {
  const box = frame.getBoundingClientRect();
  splitAt((event.clientX - box.left) / box.width);
};
stage.addEventListener("pointermove", (event) => {
  const frame = frameOf(event), last = held.get(event.pointerId);
  if (!frame || !last) return;
  held.set(event.pointerId, [event.clientX, event.clientY]);
  if (moving === "pinch" && held.size === 2) {
    const [a, b] = [...held.values()], now = spread();
    zoomBy(now / Math.max(reach, 1), frame, [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]);
    reach = now;
  } else if (moving === "split") follow(frame, event);
  else if (moving === "pan") {
    const scale = scaleOf(frame);
    moveBy((last[0] - event.clientX) / (width * scale), (last[1] - event.clientY) / (height * scale));
  }
});
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => held.delete(event.pointerId));
stage.addEventListener("dblclick", (event) => {
  const at = [event.clientX, event.clientY];
  if (frameOf(event)) zoomBy(state.zoom > 1 ? 1 / state.zoom : 4, frameOf(event), at);
});
// A wheel scrolls the page; with Ctrl, as a pinch on a touchpad is told too, it zooms.
stage.addEventListener("wheel", (event) => {
  if (!frameOf(event) || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY / 300), frameOf(event), [event.clientX, event.clientY]);
}, {passive: false});

// ---- keyboard and buttons

stage.addEventListener("keydown", (event) => {
  const step = 0.1 / state.zoom;
  const onKnob = event.target.closest(".viewer-knob") || (state.zoom === 1 && state.mode === "split");
  const across = {ArrowLeft: -1, ArrowRight: 1}[event.key] ?? 0, down = {ArrowUp: -1, ArrowDown: 1}[event.key] ?? 0;
  if (across && onKnob) splitAt(state.split + 0.02 * across);
  else if ((across || down) && state.zoom > 1) moveBy(step * across, step * down);
  else if (event.key === "+" || event.key === "=") zoomBy(STEP);
  else if (event.key === "-") zoomBy(1 / STEP);
  else if (event.key === "0") zoomBy(1 / state.zoom);
  else if (event.key === " " && state.mode === "flicker") stage.classList.toggle("other");
  else return;
  event.preventDefault();
});
root.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.mode) choose(button.dataset.mode);
  else if (button?.dataset.zoom) zoomBy(button.dataset.zoom === "fit" ? 1 / state.zoom : Number(button.dataset.zoom));
});
root.addEventListener("change", (event) => {
  if (event.target.dataset.side) layOut();
  if (event.target.dataset.gain !== undefined) {
    state.gain = Number(event.target.value);
    draw();
  }
});

// ---- value

function show() {
  const value = props.value ?? {}, names = (list) => JSON.stringify(list.map((item) => item.name));
  const kept = names(value.items ?? []) === names(items);
  items = value.items ?? [];
  [width, height] = value.size ?? [1, 1];
  for (const [side, place] of [["left", value.left ?? 0], ["right", value.right ?? 1]]) {
    const before = picker(side).selectedIndex;
    picker(side).replaceChildren(...items.map((item) => make("option", {textContent: item.name})));
    picker(side).selectedIndex = kept && before >= 0 ? before : Math.min(place, items.length - 1);
  }
  layOut();
}

new ResizeObserver(draw).observe(stage);
watch("value", show);
show();
