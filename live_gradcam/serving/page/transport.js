// The connection to the server: a WebSocket, or POST where that is refused. It comes back by itself.
//
// A transport has `open(listener)`, `send(data)` (text, or a Blob), `close()`, `backlog` (bytes that wait to be sent)
// and `fetch(path, options)`. A listener has `opened()`, `text(object)`, `binary(buffer)` and `closed(why)`, where `why` is
// "lost" or "refused" (the server does not know this browser).

const FIRST_WAIT = 300;
const LONGEST_WAIT = 4000;
const POST_TIMEOUT = 40000;
const BATCH_HEADER = 5;

export class ServerTransport {
	/** @param {string} base address of the server, such as "http://localhost:8765/" */
	constructor(base) {
		this.base = base;
		this.link = null;
		this.isPost = false; // whether the second link is used: POST went through where a WebSocket was refused
		this.wait = FIRST_WAIT;
		this.sent = this.received = 0; // bytes of frames and answers, so far
	}

	open(listener) {
		this.listener = listener;
		this.connect();
		this.online = () => this.connectSoon(0);
		addEventListener("online", this.online);
	}

	send(data) {
		this.sent += data.size ?? 0;
		this.link?.send(data);
	}

	take(buffer) {
		this.received += buffer.byteLength;
		this.listener?.binary(buffer);
	}

	get backlog() {
		return this.link?.backlog ?? 0;
	}

	fetch(path, options) {
		return fetch(this.address(path), options);
	}

	/** Of what the server has at a path, such as "/ws". */
	address(path) {
		return new URL(`.${path}`, this.base);
	}

	close() {
		this.listener = null;
		removeEventListener("online", this.online);
		clearTimeout(this.timer);
		this.link?.close();
	}

	/** The link that is tried first, and the one where that is refused. */
	firstLink() {
		return new SocketLink(this, this.address("/ws").href.replace(/^http/, "ws"));
	}

	secondLink() {
		return new PostLink(this);
	}

	async connect() {
		if (!this.listener || this.link) return;
		const link = this.isPost ? this.secondLink() : this.firstLink();
		this.link = link;
		const outcome = await link.opened; // "open", "refused" or "failed"
		if (this.link !== link) return;
		if (outcome === "open") {
			this.wait = FIRST_WAIT;
			link.closed.then(() => this.lost(link, "lost"));
			return;
		}
		if (outcome === "failed" && !this.isPost) return this.connectBySecond(link);
		this.isPost = false; // the next try is a WebSocket's
		this.lost(link, outcome === "refused" ? "refused" : "lost");
	}

	/** A WebSocket did not open. If POST goes through, the server is there, and sockets are what is refused. */
	connectBySecond(link) {
		link.close();
		this.link = null;
		this.isPost = true;
		return this.connect();
	}

	lost(link, why) {
		if (this.link !== link) return;
		this.link = null;
		this.listener?.closed(why);
		this.connectSoon(this.wait);
		this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
	}

	connectSoon(wait) {
		clearTimeout(this.timer);
		if (this.listener) this.timer = setTimeout(() => this.connect(), wait);
	}
}

export class SocketLink {
	constructor(transport, address) {
		const socket = new WebSocket(address);
		this.socket = socket;
		socket.binaryType = "arraybuffer";
		this.opened = new Promise((resolve) => {
			socket.onopen = () => {
				transport.listener?.opened();
				resolve("open");
			};
			this.closed = new Promise((closed) => {
				socket.onclose = () => {
					resolve("failed");
					closed();
				};
			});
		});
		socket.onmessage = ({ data }) => {
			if (typeof data === "string") transport.listener?.text(JSON.parse(data));
			else transport.take(data);
		};
	}

	get backlog() {
		return this.socket.bufferedAmount;
	}

	send(data) {
		if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
	}

	close() {
		this.socket.close();
	}
}

class PostLink {
	constructor(transport) {
		this.transport = transport;
		this.backlog = 0;
		this.last = Promise.resolve(); // messages go one after the other: a command must not overtake a frame
		this.closed = new Promise((resolve) => (this.end = resolve));
		this.opened = this.start();
	}

	async start() {
		try {
			const answer = await this.post("/post/open");
			if (answer.status === 401 || answer.status === 403) return "refused";
			if (!answer.ok) return "failed";
			this.transport.listener?.opened();
			this.unpack(await answer.arrayBuffer());
		} catch {
			return "failed";
		}
		this.receive();
		return "open";
	}

	post(path, body, type) {
		const address = this.viewer ? `${path}?viewer=${encodeURIComponent(this.viewer)}` : path;
		const headers = type ? { "Content-Type": type } : {};
		return this.transport.fetch(address, { method: "POST", body, headers, signal: AbortSignal.timeout(POST_TIMEOUT) });
	}

	send(data) {
		const size = typeof data === "string" ? data.length : data.size;
		const type = typeof data === "string" ? "application/json" : "application/octet-stream";
		this.backlog += size;
		this.last = this.last
			.then(() => this.post("/post/send", data, type))
			.then((answer) => answer.ok || this.end(), () => this.end())
			.finally(() => (this.backlog -= size));
	}

	async receive() {
		let isOpen = true;
		this.closed.then(() => (isOpen = false));
		while (isOpen) {
			try {
				const answer = await this.post("/post/receive");
				if (!answer.ok) break;
				this.unpack(await answer.arrayBuffer());
			} catch {
				break;
			}
		}
		this.end();
	}

	unpack(buffer) {
		const view = new DataView(buffer);
		for (let place = 0; place + BATCH_HEADER <= buffer.byteLength; ) {
			const length = view.getUint32(place, true);
			const isBinary = view.getUint8(place + 4) === 1;
			const start = place + BATCH_HEADER;
			const message = buffer.slice(start, start + length);
			place = start + length;
			if (isBinary) {
				this.transport.take(message);
				continue;
			}
			const text = JSON.parse(new TextDecoder().decode(message));
			this.viewer ??= text.viewer; // of `hello`, which comes first
			this.transport.listener?.text(text);
		}
	}

	close() {
		if (this.viewer) this.post("/post/close").catch(() => {});
		this.end();
	}
}
