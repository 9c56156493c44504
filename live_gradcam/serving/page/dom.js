// Elements, without HTML in strings. Their texts come from texts.js by key, so that the language can change.

import { t } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag with classes, such as "div.panel.open"
 * @param {object} properties `text` and `label` are keys of texts.js (of the text, and of aria-label); a function
 *   is a listener; everything else is an attribute, left out where it is false or null
 * @param {...(Node|string|null)} children
 */
export function element(tag, properties = {}, ...children) {
	const [name, ...classes] = tag.split(".");
	const made = document.createElement(name);
	if (classes.length) made.className = classes.join(" ");
	if (name === "button") made.type = "button";
	for (const [key, value] of Object.entries(properties)) {
		if (typeof value === "function") made.addEventListener(key, value);
		else if (["text", "label"].includes(key)) made.dataset[key] = value;
		else if (value !== false && value != null) made.setAttribute(key, value === true ? "" : value);
	}
	made.append(...children.filter((child) => child !== null));
	translateOne(made);
	return made;
}

/** A button with an icon before its name. */
export function button(tag, name, text, click, properties = {}) {
	return element(`button.${tag}`, { click, ...properties }, icon(name), element("span", { text }));
}

/** An icon of 24 × 24, drawn with lines: see ICONS. */
export function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	svg.setAttribute("viewBox", "0 0 24 24");
	svg.setAttribute("aria-hidden", "true");
	svg.classList.add("icon");
	const path = document.createElementNS(SVG, "path");
	path.setAttribute("d", ICONS[name]);
	svg.append(path);
	return svg;
}

function translateOne(node) {
	const { text, label } = node.dataset;
	if (text) node.textContent = t(text);
	if (label) node.setAttribute("aria-label", t(label));
}

/** Write all texts below a node again, in the language of now. */
export function translate(root) {
	for (const node of root.querySelectorAll("[data-text], [data-label]")) translateOne(node);
}

/** Set a text only where it changes: writing the same again makes the browser lay the page out for nothing. */
export function write(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

/** Set an attribute only where it changes. */
export function mark(node, attribute, value) {
	if (node.getAttribute(attribute) !== String(value)) node.setAttribute(attribute, value);
}

const ICONS = {
	source: "M3 7h11v10H3zM14 10.5l7-3.5v10l-7-3.5",
	look: "M4 6h10M18 6h2M4 12h2M10 12h10M4 18h8M16 18h4M14 4v4M6 10v4M12 16v4",
	method: "M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5",
	teach: "M2 9l10-5 10 5-10 5zM6 11.5v5c2 2 10 2 12 0v-5M22 9v6",
	pause: "M8 5v14M16 5v14",
	play: "M7 4.5l12 7.5-12 7.5z",
	snapshot: "M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7",
	record: "M12 6a6 6 0 1 0 0 12 6 6 0 0 0 0-12",
	stop: "M7 7h10v10H7z",
	help: "M4 7h16v10H4zM7 10h1M11.500 10h1M16 10h1M8 14h8",
	full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
	close: "M6 6l12 12M18 6L6 18",
	flip: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
	file: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.500 8.500h1",
	undo: "M9 5L4 10l5 5M4 10h10a6 6 0 0 1 0 10h-3",
	download: "M12 4v11M7 11l5 5 5-5M4 20h16",
};
