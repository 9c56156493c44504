// From a source to what is shown: frames go out, answers come in, and each finds its picture.

import { Capture } from "./capture.js";
import { packFrame } from "./messages.js";
import { onEachFrame, openCamera, openFile } from "./sources.js";

// How many round trips are remembered, and of how many of the last the middle one is shown.
const REMEMBERED = 2000;
const SHOWN = 15;

export class Viewing {
	/**
	 * @param {object} parts `transport`, `stage`, `look`
	 * @param {object} events `shown(answer)`, `drawn()` after each frame or answer, `source()` where it changes,
	 *   `failed(error, retry)` where one cannot be used, `gone()` where a camera was unplugged
	 */
	constructor({ transport, stage, look }, events) {
		Object.assign(this, { transport, stage, look, events });
		this.capture = new Capture((frame) => transport.send(packFrame(frame)), () => transport.backlog);
		this.source = null;
		this.watched = null; // the index of the server's source that is watched
		this.isPaused = false;
		this.trips = []; // milliseconds from each frame to its answer, the last ones
		this.waiting = []; // for a picture with its own answer
		this.revision = 0; // of the last answer
		this.asked = 0; // the revision for which a still picture was sent again
		this.attempt = 0;
	}

	// --- sources ---

	useCamera(asked = {}) {
		const gone = () => this.source?.kind === "camera" && this.events.gone(); // not one that was given up meanwhile
		return this.use(() => openCamera(asked, gone), () => this.useCamera(asked));
	}

	useFile(file) {
		return this.use(() => openFile(file), () => this.useFile(file));
	}

	async use(open, retry) {
		const attempt = ++this.attempt;
		if (this.source?.kind === "camera") this.leave(); // few cameras can be opened twice
		let source;
		try {
			source = await open();
		} catch (error) {
			if (attempt === this.attempt) this.events.failed(error, retry);
			return;
		}
		if (attempt !== this.attempt) return source.stop(); // another one was chosen meanwhile
		this.leave();
		this.source = source;
		this.look.suit(source);
		this.stage.play(source.video ?? null);
		if (source.picture) this.stage.show(null, source.picture);
		this.follow(true);
		this.events.source();
	}

	/** Show a source of the server. */
	watch(index) {
		this.attempt++;
		this.leave();
		this.watched = index;
		this.look.suit(null);
		this.tell("watch", { source: index });
		this.events.source();
	}

	leave() {
		this.endFrames?.();
		this.capture.stop();
		this.stage.play(null);
		this.source?.stop();
		if (this.watched !== null) this.tell("watch", { source: null });
		this.giveUp();
		this.source = this.watched = null;
		this.isPaused = false;
		this.trips = [];
	}

	/** Whether a person has chosen something, also where it is not there yet. */
	get isChosen() {
		return this.isOn || this.attempt > 0;
	}

	get isOn() {
		return this.source !== null || this.watched !== null;
	}

	follow(isNew) {
		const { video, picture } = this.source;
		this.endFrames?.();
		this.capture.begin({ video, picture, isNew });
		if (!video) return;
		this.endFrames = onEachFrame(video, () => {
			if (!this.stage.hasSize) this.stage.render(); // it is known with the first frame
			this.capture.offer();
			this.stage.tick();
			if (!this.stage.picture) this.events.drawn(); // else what is seen changes with the answers
		});
	}

	/** Let the picture stand still, or go on. A picture that stands still is explained again where something changes. */
	pause(isPaused) {
		if (isPaused === this.isPaused || this.source?.picture || !this.isOn) return;
		this.isPaused = isPaused;
		const video = this.source?.video;
		if (!video) {
			if (!isPaused) this.tell("ready");
		} else if (isPaused) {
			video.pause();
			this.endFrames();
			const picture = this.stage.picture ?? this.capture.grab();
			this.capture.begin({ picture, isNew: false });
			this.stage.show(this.stage.answer, picture);
		} else {
			video.play();
			this.follow(false);
			this.exactChanged();
		}
	}

	/** The pictures are shown with their own maps from now on, or the video runs freely again. */
	exactChanged() {
		this.keep();
		if (this.source?.video && !this.isPaused && !this.look.exact) this.stage.show(this.stage.answer, null);
	}

	tell(type, fields = {}) {
		this.transport.send(JSON.stringify({ type, ...fields }));
	}

	// --- answers ---

	/** The connection is another one. */
	reset() {
		this.capture.reset();
		this.revision = this.asked = 0;
		if (this.watched !== null) this.tell("watch", { source: this.watched });
	}

	/** Answers are other ones from a revision on. */
	renew(revision) {
		if (!this.capture.still || !this.revision || revision <= Math.max(this.revision, this.asked)) return;
		this.asked = revision;
		this.capture.offer();
	}

	async take(answer) {
		if (answer.isWatched) return this.takeWatched(answer);
		const frame = this.capture.answered(answer.id);
		if (!frame || frame.isStill !== Boolean(this.capture.still)) return;
		this.trips.push(performance.now() - frame.sentAt);
		if (this.trips.length > REMEMBERED) this.trips.splice(0, REMEMBERED / 2);
		const { picture } = frame;
		const isExact = this.look.exact || frame.isStill;
		const isAwaited = this.waiting.length > 0; // somebody still draws it
		const before = this.stage.show(answer, isExact ? picture : null);
		if (before !== this.stage.picture) this.capture.giveBack(before);
		if (!isExact && !isAwaited) this.capture.giveBack(picture);
		this.shown(answer, picture, frame.sentAt);
	}

	async takeWatched(answer) {
		const picture = await createImageBitmap(new Blob([answer.jpeg]));
		if (this.watched === null || this.isPaused) return picture.close();
		this.stage.show(answer, picture)?.close?.();
		this.shown(answer, picture, performance.now());
		this.tell("ready");
	}

	shown(answer, picture, time) {
		this.revision = answer.revision;
		if (picture) for (const resolve of this.waiting.splice(0)) resolve({ picture, answer, time: time / 1000 });
		this.keep();
		this.events.shown(answer);
		this.events.drawn();
	}

	/** Keep the pictures that are sent, where somebody wants to see them with their answers. */
	keep() {
		this.capture.keeps = this.look.exact || this.waiting.length > 0;
	}

	/**
	 * A promise of a picture with its own answer: the one that stands still, or else the next one.
	 * Null without a source, and where no answer comes; and a promise of null where none comes any more.
	 */
	explained() {
		const { picture, answer } = this.stage;
		if (!this.isOn) return null;
		if (picture && answer) return Promise.resolve({ picture, answer, time: performance.now() / 1000 });
		if (!this.capture.input) return null;
		const next = new Promise((resolve) => this.waiting.push(resolve));
		this.keep();
		return next;
	}

	/** No answer comes to those who wait for one: the source or the connection is gone. */
	giveUp() {
		for (const resolve of this.waiting.splice(0)) resolve(null);
		this.keep();
	}

	/** Milliseconds from a frame to its answer, the middle one of the last; null while there are none. */
	get latency() {
		const last = this.trips.slice(-SHOWN).sort((one, other) => one - other);
		return last.length ? last[last.length >> 1] : null;
	}
}
