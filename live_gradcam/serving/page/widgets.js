// Controls with a value: each has `root`, to be put on the page, and `set(value)`, which shows a value and does nothing else.

import { element } from "./dom.js";

let count = 0;

/** One of a few, as buttons beside one another. `options` is [[value, key of its text]]. */
export function choice(text, options, onPick) {
	const name = `choice-${++count}`;
	const inputs = options.map(([value]) => element("input", { type: "radio", name, value, change: () => onPick(value) }));
	const labels = options.map(([, key], place) => element("label", {}, inputs[place], element("span", { text: key })));
	const root = element("fieldset.choice", {}, element("legend", { text }), element("div.options", {}, ...labels));
	return { root, set: (value) => inputs.forEach((input) => (input.checked = input.value === value)) };
}

/** One of many. `setOptions` takes [[value, text]], texts as they are. */
export function select(text, onPick) {
	const list = element("select", { change: () => onPick(list.value) });
	const setOptions = (options) => list.replaceChildren(...options.map(([value, name]) => element("option", { value }, name)));
	return {
		root: element("label.field", {}, element("span", { text }), list),
		setOptions,
		set: (value) => (list.value = value ?? ""),
	};
}

/** On or off. */
export function toggle(text, onChange) {
	const box = element("input", { type: "checkbox", role: "switch", change: () => onChange(box.checked) });
	return { root: element("label.toggle", {}, box, element("span", { text })), set: (value) => (box.checked = value) };
}

/** A number of a range. `show` gives its text. */
export function slider(text, show, onChange) {
	const input = element("input", { type: "range", min: 0, max: 1, step: 0.05, input: () => change(Number(input.value)) });
	const number = element("span.number", { "aria-hidden": "true" });
	const set = (value) => {
		input.value = value;
		number.textContent = show(value);
		input.setAttribute("aria-valuetext", show(value));
	};
	const change = (value) => {
		set(value);
		onChange(value);
	};
	return { root: element("label.slider", {}, element("span", { text }), number, input), set };
}
