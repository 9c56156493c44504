// What the tools open: panels for the source, the view, the method, and the keys.

import { button, element, icon, write } from "./dom.js";
import { isText, language, LANGUAGES, percent, t } from "./texts.js";
import { choice, select, slider, toggle } from "./widgets.js";

const WORDS = ["full", "minimal", "none"];
const same = (name) => [name, name];

/** Where pictures come from. */
export class SourcePanel {
	/** @param {object} actions `useCamera({deviceId, facing})`, `useFile(file)`, `watch(index)` */
	constructor({ useCamera, useFile, watch }) {
		this.watch = watch;
		this.use = button("wide", "source", "useCamera", () => useCamera());
		this.cameras = select("camera", (deviceId) => useCamera({ deviceId }));
		this.flip = button("wide", "flip", "flip", () => useCamera({ facing: this.isFront ? "environment" : "user" }));
		this.watched = element("div.watched");
		this.privacy = element("p.note");
		const file = fileButton(useFile);
		this.root = element("div", {}, this.use, this.cameras.root, this.flip, file, this.watched, this.privacy);
		this.showCameras([], null);
	}

	showHello(hello) {
		write(this.privacy, privacy(hello));
		const buttons = sourceButtons(hello, this.watch);
		this.watched.replaceChildren(...(buttons.length ? [element("h3", { text: "serverSources" }), ...buttons] : []));
	}

	/** @param {object|null} source the one that is used */
	showCameras(cameras, source) {
		const isCamera = source?.kind === "camera";
		this.isFront = source?.isFront ?? true;
		this.use.hidden = isCamera;
		this.cameras.root.hidden = this.flip.hidden = !isCamera || cameras.length < 2;
		const nameOf = ({ label }, place) => label || t("cameraNumber", { number: place + 1 });
		this.cameras.setOptions(cameras.map((camera, place) => [camera.deviceId, nameOf(camera, place)]));
		this.cameras.set(source?.deviceId);
	}
}

/** What becomes of a person's pictures. */
export function privacy({ keeps }) {
	return t(keeps ? "keepsSome" : "keepsNothing", { host: location.host });
}

/** A button for each source of the server. */
export function sourceButtons({ sources }, watch) {
	return sources.map(({ index, name }) => element("button.wide", { click: () => watch(index) }, name));
}

/** A button that lets a person choose a file. */
export function fileButton(useFile) {
	const change = () => {
		const [file] = input.files;
		input.value = ""; // so that the same file can be chosen again
		if (file) useFile(file);
	};
	const input = element("input.unseen", { type: "file", accept: "image/*,video/*", label: "chooseFile", change });
	return element("label.wide.button", {}, input, icon("file"), element("span", { text: "chooseFile" }));
}

/** What is drawn. */
export class LookPanel {
	/** @param {function} command takes a name and an argument */
	constructor(command, useLanguage, { views, colormaps }) {
		const does = (name) => (value) => command(name, value);
		this.view = choice("view", views.map((view) => [view, `view ${view}`]), does("view"));
		this.view.root.classList.add("views");
		this.opacity = slider("opacity", percent, does("opacity"));
		this.colormap = select("colormap", does("colormap"));
		this.colormap.setOptions(colormaps.map(same));
		const motions = [["false", "smooth"], ["true", "exact"]];
		this.exact = choice("motion", motions, (value) => command("exact", value === "true"));
		this.exactHelp = element("p.note");
		this.switches = Object.fromEntries(["boxes", "mirror", "timings"].map((name) => [name, toggle(name, does(name))]));
		this.words = choice("words", WORDS.map((level) => [level, `words ${level}`]), does("hud"));
		this.language = select("language", useLanguage);
		this.language.setOptions(Object.entries(LANGUAGES));
		const switches = element("div.toggles", {}, ...Object.values(this.switches).map(({ root }) => root));
		const { view, opacity, colormap, exact, words } = this;
		const first = [view, opacity, colormap, exact].map(({ root }) => root);
		this.root = element("div", {}, ...first, this.exactHelp, switches, words.root, this.language.root);
	}

	show(look) {
		this.view.set(look.view);
		this.opacity.set(look.alpha);
		this.colormap.set(look.colormap);
		this.exact.set(String(look.exact));
		write(this.exactHelp, t(look.exact ? "exactHelp" : "smoothHelp"));
		for (const [name, one] of Object.entries(this.switches)) one.set(look[name]);
		this.words.set(look.hud);
		this.language.set(language());
	}
}

/** What is explained, and how. */
export class MethodPanel {
	constructor(command) {
		const ofName = (name) => select(name, (value) => command(name, value));
		this.lists = { method: ofName("method"), layer: ofName("layer"), fit: ofName("fit") };
		this.smooth = slider("smoothing", (value) => `${value.toFixed(2)} s`, (seconds) => command("smooth", seconds));
		this.model = element("p.note");
		const lists = Object.values(this.lists).map(({ root }) => root);
		this.root = element("div", {}, this.model, ...lists, this.smooth.root);
	}

	showReady({ model, methods, layers, fits }) {
		write(this.model, `${t("model")}: ${model}`);
		const names = { method: methods, layer: [...layers].reverse(), fit: fits }; // the last layer is the usual one
		for (const [name, list] of Object.entries(this.lists)) list.setOptions(names[name].map(same));
		this.lists.fit.root.hidden = fits.length < 2;
	}

	show(state) {
		for (const [name, list] of Object.entries(this.lists)) list.set(state[name]);
		this.smooth.set(state.smooth);
	}
}

/** The keys. */
export class HelpPanel {
	constructor() {
		this.list = element("dl.keys");
		this.root = element("div", {}, this.list);
	}

	/** @param {[string, string, string][]} rows the keys, the command's name, and what the server says that it does */
	show(rows) {
		const what = (name, help) => (isText(`key ${name}`) ? t(`key ${name}`) : help);
		const row = ([keys, name, help]) => [element("dt", {}, element("kbd", {}, keys)), element("dd", {}, what(name, help))];
		const shown = JSON.stringify([language(), rows]);
		if (shown === this.shown) return;
		this.shown = shown;
		this.list.replaceChildren(...rows.flatMap(row));
	}
}
