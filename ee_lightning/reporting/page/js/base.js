const ARRAYS = { Uint8Array, Uint16Array, Uint32Array, Float32Array, Float64Array };

/** Turns what Python packed into a typed array; null stays null. */
function unpack(packed) {
  if (packed === null) return null;
  const text = atob(packed.base64), bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return new ARRAYS[packed.type](bytes.buffer);
}

const byId = (id) => document.getElementById(id);

/** Makes an element; texts become text nodes, so nothing in the data is read as HTML. */
function make(space, name, attributes, children) {
  const element = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "style") element.style.cssText = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const h = (name, attributes = {}, ...children) => make(null, name, attributes, children);
const s = (name, attributes = {}, ...children) => make("http://www.w3.org/2000/svg", name, attributes, children);

const percent = (share, digits = 1) => (share === null || Number.isNaN(share) ? "–" : (100 * share).toFixed(digits));
const signed = (points) => `${points < -0.05 ? "−" : points > 0.05 ? "+" : "±"}${Math.abs(points).toFixed(1)}`;
const times = (factor) => `${factor.toFixed(2)}×`;
const short = (number) => (number === null ? "∞" : String(Number(number.toPrecision(4))));
const many = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
const metricName = (name) => name.replaceAll("_", " ");

const state = { run: 0, criterion: 0, point: 0, metric: "", zoomed: false, row: null };
const watchers = [];

/** Calls a function now and then after every change of one of these parts of the state. */
function watch(keys, update) {
  watchers.push([keys, update]);
}

function change(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const [keys, update] of watchers) if (keys.some((key) => changed.includes(key))) update();
}

const tip = byId("tip");

function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 6))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 6))}px`;
}

const hideTip = () => { tip.hidden = true; };
const tipped = (text) => ({ onpointermove: (event) => showTip(event, text), onpointerleave: hideTip });
