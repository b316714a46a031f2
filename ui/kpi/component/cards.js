const SVG = "http://www.w3.org/2000/svg";

function node(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text; // never innerHTML: texts come from data and people
  return made;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function spark(data) {
  const box = node("span", "spark");
  const svg = shape("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", role: "img", "aria-label": data.words });
  if (data.area) svg.append(shape("path", { class: "area", d: data.area }));
  if (data.target_y !== null) svg.append(shape("line", { class: "goal", x1: 0, x2: 100, y1: data.target_y, y2: data.target_y }));
  if (data.line) svg.append(shape("path", { class: "line", d: data.line }));
  box.append(svg);
  return box;
}

function card(data, open) {
  const item = node("li", "card");
  const link = node("a");
  link.href = "kpi?kpi=" + encodeURIComponent(data.name);
  link.title = data.why;
  const value = node("span", "value");
  value.append(node("span", "number", data.value));
  if (data.change) {
    const change = node("span", "change " + data.change_is, data.change);
    change.title = data.against;
    value.append(change);
  }
  const period = node("span", "period", data.period || data.why);
  if (data.change) {
    period.append(node("span", "against", ", " + data.against), node("span", "brief " + data.change_is, " " + data.change));
  }
  const foot = node("span", "foot");
  const notice = data.notice && node("span", "notice", data.notice.split(/[:.;]/)[0]);
  if (notice) notice.title = data.notice;
  foot.append(node("span", "target", data.target), notice || node("span", "owner", data.owner.split("@")[0]));
  link.append(node("span", "label", data.label), node("span", "badge " + data.status, data.status_label), value, period,
    spark(data.spark), foot);
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return; // a new tab, as everywhere
    event.preventDefault();
    open(data.name);
  });
  item.append(link);
  return item;
}

function isDark(host) {
  const ground = getComputedStyle(host).getPropertyValue("--st-background-color").trim() || "#fff";
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = ground;
  const [r, g, b] = probe.fillStyle.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  return 0.299 * r + 0.587 * g + 0.114 * b < 128;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const list = parentElement.querySelector(".cards");
  list.classList.toggle("dark", isDark(list));
  list.replaceChildren(...data.cards.map((one) => card(one, (name) => setTriggerValue("open", name))));
}
