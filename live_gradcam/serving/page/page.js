// The page: mount(element, transport) puts it into an element and connects it to a server.

import { button, element, translate } from "./dom.js";
import { Keys } from "./keys.js";
import { Label } from "./label.js";
import { Look } from "./look.js";
import { ColourTables, Maps } from "./maps.js";
import { parseAnswer } from "./messages.js";
import { Notices } from "./notices.js";
import { fileButton, HelpPanel, LookPanel, MethodPanel, privacy, sourceButtons, SourcePanel } from "./panels.js";
import { download, Film, snapshotFiles } from "./saving.js";
import { isCameraAllowed, listCameras } from "./sources.js";
import { Stage } from "./stage.js";
import { hasPictures, Teaching } from "./teaching.js";
import { said, setLanguage, t } from "./texts.js";
import { Toolbar } from "./toolbar.js";
import { Viewing } from "./viewing.js";
import { amountOf, mapName } from "./views.js";

const IDLE_SECONDS = 3;

/**
 * @param {HTMLElement} root what the page is put into
 * @param {object} transport see transport.js
 * @param {object} options `clean`: only the map, on nothing; `source`: a source of the server to begin with; `language`;
 *   `place`: where the page is, for texts.js; `screen`: what becomes full screen, if not the root; `keep`: takes a snapshot
 *   {picture, answer, time} in place of files, and gives a promise of the line that says so
 * @returns {Page} with `close()`
 */
export function mount(root, transport, options = {}) {
	setLanguage(options.language ?? navigator.language, options.place);
	const page = new Page(root, transport, options);
	transport.open(page);
	return page;
}

class Page {
	constructor(root, transport, { clean = false, source = null, screen = root, keep = null }) {
		Object.assign(this, { root, transport, isClean: clean, firstSource: source, screen, keep });
		this.isWhole = root === document.body; // and not a part of another page
		this.ending = new AbortController(); // of what listens to more than the root
		this.hello = this.ready = this.state = null; // the server's last messages of these kinds
		this.lost = null; // the state before the connection was lost
		this.look = new Look();
		this.tables = new ColourTables((name) => this.loadColours(name), () => this.stage.render());
		this.stage = new Stage(this.look, new Maps(this.tables), (index) => this.label.pick(index), clean);
		this.film = new Film(this.stage);
		this.viewing = new Viewing(this, {
			shown: (answer) => this.shown(answer),
			drawn: () => this.film.isOn && this.film.draw(),
			source: () => this.sourceChanged(),
			failed: (error, retry) => this.sourceFailed(error, retry),
			gone: () => this.cameraGone(),
		});
		this.build();
	}

	build() {
		const command = (name, argument) => this.command(name, argument);
		this.hold = (index) => this.send("teach-hold", index);
		this.release = () => this.state?.teaching && this.send("teach-release");
		this.label = new Label(command);
		this.notices = new Notices();
		this.toolbar = new Toolbar(command, (name, before) => this.panelChanged(name, before));
		this.teaching = new Teaching({ command, hold: this.hold, release: this.release, download: () => this.downloadModel() });
		this.help = new HelpPanel();
		this.methodPanel = new MethodPanel(command);
		// The panel closes as something is chosen in it, and not where a camera starts by itself.
		const choose = (name) => (choice) => {
			this.toolbar.toggle("source", false);
			this.viewing[name](choice);
		};
		this.sourcePanel = new SourcePanel({ useCamera: choose("useCamera"), useFile: choose("useFile"), watch: choose("watch") });
		this.root.classList.add("live-gradcam");
		this.root.classList.toggle("clean", this.isClean);
		this.nameLanguage();
		if (this.isClean) return this.root.append(this.stage.root);
		const full = button("tool.full", "full", "fullScreen", () => this.command("full-screen"));
		full.hidden = !this.screen.requestFullscreen;
		const title = element("h1.unseen", {}, "live-gradcam");
		const wall = element("main.wall", {}, title, this.stage.root, this.notices.root, full);
		const below = element("div.below", {}, this.label.root, this.toolbar.panel);
		const side = element("aside.side", { label: "classes" }, this.label.heading, below);
		this.root.append(wall, side, this.toolbar.root);
		this.notices.showBanner("connection", t("connecting"));
		this.listen();
		this.refresh();
	}

	listen() {
		const wake = () => {
			this.root.classList.remove("idle");
			clearTimeout(this.idle);
			this.idle = setTimeout(() => this.root.classList.add("idle"), 1000 * IDLE_SECONDS);
		};
		for (const event of ["pointermove", "pointerdown", "keydown"]) this.root.addEventListener(event, wake);
		this.root.addEventListener("dragover", (event) => event.preventDefault());
		this.root.addEventListener("drop", (event) => {
			event.preventDefault();
			if (event.dataTransfer.files.length) this.viewing.useFile(event.dataTransfer.files[0]);
		});
		const { signal } = this.ending;
		navigator.mediaDevices?.addEventListener?.("devicechange", () => this.devicesChanged(), { signal });
		document.addEventListener("fullscreenchange", () => this.refresh(), { signal });
		const leaving = (event) => {
			if (this.film.isOn || this.state?.teaching_panel?.is_unsaved) event.preventDefault(); // the browser asks
		};
		addEventListener("beforeunload", leaving, { signal });
		this.clock = setInterval(() => this.film.isOn && this.notices.showFilm(this.film.seconds), 500);
	}

	close() {
		this.ending.abort();
		clearInterval(this.clock);
		clearTimeout(this.idle);
		this.viewing.attempt++; // a camera that opens only now is not wanted any more
		this.viewing.leave();
		this.transport.close();
		this.root.replaceChildren();
	}

	async loadColours(name) {
		const answer = await this.transport.fetch(`/colours/${encodeURIComponent(name)}`);
		if (!answer.ok) throw new Error(`there are no colours ${name}`);
		return answer.arrayBuffer();
	}

	// --- the connection: see transport.js ---

	opened() {
		this.notices.showBanner("connection", t("connecting"));
	}

	closed(why) {
		const isOwn = this.viewing.watched === null; // else it is that of all who watch
		if (isOwn && this.state) this.lost ??= { ...this.state, network: this.ready.network };
		this.hello = this.state = null;
		this.viewing.capture.input = null; // nothing is sent before the network is there again
		this.viewing.giveUp();
		for (const kind of ["starting", "compiling"]) this.notices.showBanner(kind, null);
		this.notices.showBanner("connection", t(why === "refused" ? "unknown" : "lost"));
	}

	text(message) {
		const type = message.type;
		if (type === "hello") this.greeted(message);
		else if (type === "ready") this.networkReady(message);
		else if (type === "state") this.stateChanged(message);
		else if (type === "starting") this.notices.showBanner("starting", t("starting"));
		else if (type === "notice") this.notices.say(said(message), message.is_error);
		else if (type === "error") {
			if (message.id !== null) this.viewing.capture.answered(message.id);
			this.notices.say(said(message), true);
		} else if (type === "bye") {
			if (!message.reconnect) this.transport.close();
			this.notices.showBanner("connection", said(message));
		}
	}

	binary(buffer) {
		this.viewing.take(parseAnswer(buffer));
	}

	greeted(hello) {
		const isFirst = !this.keys;
		this.hello = hello;
		this.helps = new Map(hello.commands.map(({ name, help }) => [name, help]));
		this.viewing.capture.limits = hello.limits;
		this.notices.showBanner("connection", null);
		this.notices.showBanner("starting", t("starting"));
		if (isFirst) return this.begin();
		this.notices.say(t("again"));
		this.viewing.reset();
	}

	async begin() {
		this.look.begin(this.hello);
		this.keys = new Keys(this.hello.commands, {
			hold: this.hold,
			release: this.release,
			command: (name, argument) => this.command(name, argument, true),
			escape: () => this.toolbar.toggle(this.toolbar.open, false),
			isTeaching: () => Boolean(this.state?.teaching),
		});
		const { sources } = this.hello;
		const isThere = sources.some(({ index }) => index === this.firstSource);
		const missing = !isThere && this.firstSource !== null && t("noSource", { source: this.firstSource, count: sources.length });
		if (isThere) this.viewing.watch(this.firstSource);
		if (this.isClean && missing) return this.root.append(element("p.missing", {}, missing));
		if (this.isClean) return this.firstSource === null && this.viewing.useCamera();
		if (missing) this.notices.say(missing, true);
		this.keys.listen(this.isWhole ? document : this.root, this.ending.signal);
		const command = (name, argument) => this.command(name, argument);
		this.lookPanel = new LookPanel(command, (language) => this.useLanguage(language), this.look);
		this.sourcePanel.showHello(this.hello);
		const { sourcePanel: source, lookPanel: look, methodPanel: method, teaching: teach, help } = this;
		for (const [name, { root }] of Object.entries({ source, look, method, teach, help })) this.toolbar.contents[name] = root;
		this.refresh();
		const isAllowed = await isCameraAllowed(); // then it starts by itself
		if (this.viewing.isChosen) return;
		if (isAllowed) return this.viewing.useCamera();
		this.showSources(() => ({ title: t("title"), text: t("intro"), more: `${t("dropHere")} ${privacy(this.hello)}` }));
	}

	networkReady(ready) {
		this.ready = ready;
		this.notices.showBanner("starting", null);
		this.viewing.capture.input = ready.input;
		this.viewing.capture.next();
		this.methodPanel.showReady(ready);
		this.toolbar.buttons.teach.hidden = !ready.teachable;
	}

	stateChanged({ state, revision }) {
		const wasTeaching = Boolean(this.state?.teaching);
		this.state = state;
		this.look.boxes = state.boxes;
		this.viewing.renew(revision);
		this.stage.render();
		if (this.isClean) return;
		this.label.showState(state);
		this.methodPanel.show(state);
		this.teaching.show(state.teaching_panel);
		if (state.teaching !== wasTeaching) this.toolbar.toggle("teach", state.teaching);
		this.notices.showBanner("compiling", state.compiling && t("compiling", { what: state.compiling }));
		this.refresh();
		this.restore();
	}

	/** After a new connection: choose again what was chosen before. What was chosen of a network that is lost is lost too. */
	restore() {
		const before = this.lost;
		this.lost = null;
		if (!before || this.viewing.watched !== null) return;
		const isOther = before.network !== this.ready.network; // its classes and layers are not those that were chosen
		const names = before.teaching || isOther ? ["boxes", "smooth"] : ["method", "layer", "fit", "boxes", "smooth"];
		for (const name of names) {
			if (before[name] !== null && before[name] !== this.state[name]) this.send(name, before[name]);
		}
		if (before.teaching) {
			if (this.toolbar.open === "teach") this.toolbar.toggle("teach", false);
			return hasPictures(before.teaching_panel) && this.notices.say(t("taughtLost"), true);
		}
		if (isOther) return this.notices.say(t("otherNetwork"), true);
		before.pinned.forEach(({ index, against }, place) => {
			this.send(place ? "pin-add" : "pin", index);
			if (against !== null) this.send("contrast", against);
		});
	}

	// --- what a person does ---

	/** Give a command, from a control or from a key: one from a key says what it did. */
	command(name, argument, isKey = false) {
		const done = this.look.do(name, argument);
		if (done !== undefined) {
			if (done && isKey) this.notices.say(done);
			if (name === "exact") this.viewing.exactChanged();
			this.stage.render();
			return this.refresh();
		}
		const own = {
			pause: () => this.pause(argument ?? !this.viewing.isPaused),
			help: () => this.toolbar.toggle("help", argument),
			snapshot: () => this.takeSnapshot(),
			record: () => this.record(argument ?? !this.film.isOn),
			"full-screen": () => (this.isFull ? document.exitFullscreen() : this.screen.requestFullscreen?.()),
			"teach-name": argument === undefined ? () => this.nameLast() : null,
			"teach-save": () => this.downloadModel(),
		}[name];
		if (own) own();
		else this.send(name, argument);
	}

	send(name, argument) {
		if (!this.hello) return this.notices.say(t("lost"), true);
		this.transport.send(JSON.stringify({ type: "command", name, argument })); // undefined is left out
	}

	pause(isPaused) {
		this.viewing.pause(isPaused);
		this.refresh();
	}

	async takeSnapshot() {
		const explained = await this.viewing.explained();
		if (!explained) return this.notices.say(t(this.hello ? "notYet" : "lost"), true);
		if (this.keep) return this.notices.say(await this.keep(explained));
		const files = await snapshotFiles({ ...explained, maps: this.stage.maps, look: this.look });
		for (const [name, blob] of files) this.save(name, blob);
		this.notices.say(t("saved", { name: files[0][0] }));
	}

	async record(isWanted) {
		if (isWanted === this.film.isOn) return;
		if (isWanted && !this.film.start()) this.notices.say(t(this.stage.seen ? "noRecorder" : "notYet"), true);
		const ended = isWanted ? null : this.film.stop();
		this.refresh();
		if (!ended) return;
		const [name, film] = await ended;
		this.save(name, film);
		this.notices.say(t("savedFilm", { name }));
	}

	/** Give a person a file, and the server too, where it keeps them. */
	async save(name, blob) {
		download(blob, name);
		if (!this.hello?.keeps) return;
		const path = `/keep?viewer=${encodeURIComponent(this.hello.viewer)}&name=${encodeURIComponent(name)}`;
		const answer = await this.transport.fetch(path, { method: "POST", body: blob }).catch(() => null);
		if (!answer?.ok) this.notices.say(t("notKept", { name }), true);
	}

	async downloadModel() {
		const { viewer = "", keeps = false } = this.hello ?? {}; // none while the server is away
		const path = `/model?viewer=${encodeURIComponent(viewer)}`;
		const answer = await this.transport.fetch(path).catch(() => null);
		if (!answer?.ok) return this.notices.say(t("noModel", { why: answer ? said({ text: await answer.text() }) : t("lost") }), true);
		const [, name] = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition")) ?? [];
		download(await answer.blob(), name ?? "taught.keras");
		if (keeps) this.send("teach-save");
	}

	nameLast() {
		const last = this.state?.teaching_panel?.last ?? null;
		if (last === null) return;
		this.toolbar.toggle("teach", true);
		this.teaching.focusName(last);
	}

	get isFull() {
		return document.fullscreenElement === this.screen;
	}

	nameLanguage() {
		(this.isWhole ? document.documentElement : this.root).lang = t("locale");
	}

	useLanguage(language) {
		setLanguage(language);
		this.nameLanguage();
		translate(this.root);
		for (const content of Object.values(this.toolbar.contents)) translate(content);
		this.toolbar.showTitle();
		if (this.hello) this.sourcePanel.showHello(this.hello);
		if (this.ready) this.methodPanel.showReady(this.ready);
		if (this.state) {
			this.methodPanel.show(this.state);
			this.label.showState(this.state);
		}
		if (!this.notices.card.hidden) this.showCardAgain();
		this.refresh();
	}

	panelChanged(name, before) {
		this.root.classList.toggle("open", name !== null);
		const { teaching, teaching_panel: panel } = this.state ?? {};
		if (name === "teach" && !teaching) this.send("teach", true);
		if (before === "teach" && name === null && teaching && !hasPictures(panel)) this.send("teach", false); // nothing is lost
		if (name === "source") this.devicesChanged();
	}

	// --- what there is to see ---

	shown(answer) {
		if (this.isClean) return;
		const { explanation, maps } = answer;
		const table = maps.signed ? null : this.tables.of(answer, this.look.colormap);
		this.label.show(answer, { table, latency: this.viewing.latency, timings: this.look.timings });
		const target = explanation?.predictions.find(({ index }) => index === explanation.target);
		this.notices.showCaption(explanation ? `${mapName(answer)} ${target ? amountOf(target) : ""}` : answer.is_untaught ? t("untaught") : "");
	}

	/** Show on all controls what is so now. */
	refresh() {
		if (this.isClean) return;
		const { isPaused } = this.viewing;
		const { isFull } = this;
		const { hud } = this.look;
		this.root.classList.toggle("bare", isFull || hud !== "full");
		this.root.classList.toggle("black", isFull || hud === "none");
		this.root.classList.toggle("named", hud === "minimal" || (isFull && hud === "full"));
		this.toolbar.mark("pause", isPaused, isPaused ? ["play", "goOn"] : ["pause", "pause"]);
		this.toolbar.mark("record", this.film.isOn, this.film.isOn ? ["stop", "stop"] : ["record", "record"]);
		this.notices.showFilm(this.film.isOn ? this.film.seconds : null);
		this.notices.showBanner("paused", isPaused && hud !== "none" ? t("paused") : null);
		this.lookPanel?.show(this.look);
		if (this.keys) this.help.show(this.keys.help.map(([keys, name]) => [keys, name, this.helps.get(name)]));
	}

	/** Show a card that lets a person choose what to look at. `textsOf` gives its texts in the language of now. */
	showSources(textsOf, first = "useCamera", retry = () => this.viewing.useCamera()) {
		if (this.isClean) return;
		this.showCardAgain = () => this.showSources(textsOf, first, retry);
		const watched = sourceButtons(this.hello ?? { sources: [] }, (index) => this.viewing.watch(index));
		const use = element("button.wide.first", { text: first, click: retry });
		this.notices.showCard(textsOf(), use, fileButton((file) => this.viewing.useFile(file)), ...watched);
		if (!this.viewing.isOn) this.clear(); // of a camera that was left for one that does not open
		this.refresh();
	}

	clear() {
		this.label.clear();
		this.notices.showCaption("");
	}

	sourceChanged() {
		this.notices.card.hidden = true;
		this.clear();
		this.wanted = null;
		this.refresh();
		this.devicesChanged();
	}

	sourceFailed({ kind = "busy", name }, retry) {
		const { hostname } = location;
		const port = location.port || 80; // which an address leaves out
		const code = kind === "insecure" ? `ssh -N -L ${port}:localhost:${port} ${hostname}` : null;
		const card = () => ({ title: t(`${kind}Title`), text: t(kind, { local: `http://localhost:${port}`, name }), code });
		if (kind === "absent" || kind === "busy") this.wanted = retry; // as soon as there is another camera
		if (kind === "badFile") this.showSources(card);
		else this.showSources(card, "tryAgain", retry);
	}

	cameraGone() {
		this.viewing.leave();
		this.wanted = () => this.viewing.useCamera();
		this.showSources(() => ({ title: t("goneTitle"), text: t("gone") }), "tryAgain");
	}

	async devicesChanged() {
		const cameras = await listCameras();
		this.sourcePanel.showCameras(cameras, this.viewing.source);
		if (!this.wanted || !cameras.length) return;
		const open = this.wanted;
		this.wanted = null;
		open();
	}
}
