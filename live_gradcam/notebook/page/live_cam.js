// The page in a cell of a notebook: in a shadow tree, so that its style and the notebook's keep out of each other's way.

import { sizeOf } from "./capture.js";
import { KernelTransport } from "./kernel.js";
import { mount } from "./page.js";
import { t } from "./texts.js";

const THEME = ["data-jp-theme-light", "data-vscode-theme-kind"];

/** Whether the notebook is dark: it has a theme of its own, or else the system's. */
function isDark(system) {
	const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
	if (jpThemeLight) return jpThemeLight === "false";
	if (vscodeThemeKind) return !vscodeThemeKind.includes("light");
	return system.matches;
}

/** Keep a class of an element with the notebook's theme. Returns what ends that. */
function followTheme(host) {
	const system = matchMedia("(prefers-color-scheme: dark)");
	const follow = () => host.classList.toggle("dark", isDark(system));
	const observer = new MutationObserver(follow);
	observer.observe(document.body, { attributes: true, attributeFilter: THEME });
	system.addEventListener("change", follow);
	follow();
	return () => {
		observer.disconnect();
		system.removeEventListener("change", follow);
	};
}

/** Give a snapshot to Python. Returns the line that says so. */
async function keepSnapshot(transport, { picture, answer, time }) {
	const canvas = document.createElement("canvas");
	[canvas.width, canvas.height] = sizeOf(picture);
	canvas.getContext("2d").drawImage(picture, 0, 0);
	const png = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
	const { levels, jpeg, ...facts } = answer;
	const message = { type: "keep", facts, time };
	const { place } = await transport.ask(message, [levels.slice().buffer, await png.arrayBuffer()]);
	return t("keptInNotebook", { place });
}

/**
 * @param {object} context of anywidget: the model, and the element of the cell
 * @param {string} style of the page, for a shadow tree
 * @returns {function} what takes it away again
 */
export function render({ model, el }, style) {
	const host = document.createElement("div");
	host.className = "live-gradcam-cell";
	host.style.height = `${model.get("height")}px`;
	host.dataset.lmSuppressShortcuts = "true"; // of JupyterLab, where "d d" removes the cell
	const shadow = host.attachShadow({ mode: "open" });
	const sheet = document.createElement("style");
	sheet.textContent = style;
	const root = document.createElement("div");
	root.tabIndex = -1; // a click on it is enough for its keys
	shadow.append(sheet, root);
	el.append(host);
	const endTheme = followTheme(host);
	for (const event of ["keydown", "keyup"]) root.addEventListener(event, (one) => one.stopPropagation());
	const transport = new KernelTransport(model);
	const keep = (snapshot) => keepSnapshot(transport, snapshot);
	const page = mount(root, transport, { place: "notebook", screen: host, keep });
	host.liveGradcam = page; // for those who look at it from the browser's console
	model.on("comm_live_update", () => {
		page.viewing.leave(); // nobody looks at the camera any more
		transport.end();
	});
	return () => {
		endTheme();
		page.close();
	};
}
