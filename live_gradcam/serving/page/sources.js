// Where pictures come from: the browser's camera, a video file, a picture file. (What the server watches is not here.)
//
// A source has `kind` ("camera", "video" or "picture"), `name`, `video` (an element that plays) or `picture` (something that
// can be drawn, with `width` and `height`), `isFront` (whether it is a camera that looks at its user), and `stop()`.

const WANTED = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30, max: 60 } };

/** Why a source cannot be used: `kind` is "insecure", "refused", "absent", "busy" or "badFile". */
export class SourceError extends Error {
	constructor(kind, name = "") {
		super(kind);
		this.kind = kind;
		this.name = name;
	}
}

const KINDS = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "absent", OverconstrainedError: "absent" };

/**
 * @param {object} asked `deviceId` of a camera, or `facing` ("user" or "environment"); neither for any camera
 * @param {function} onGone called when the camera is unplugged
 */
export async function openCamera({ deviceId, facing }, onGone) {
	if (!navigator.mediaDevices?.getUserMedia) throw new SourceError("insecure");
	const which = deviceId ? { deviceId: { exact: deviceId } } : facing ? { facingMode: { ideal: facing } } : {};
	let stream;
	try {
		stream = await navigator.mediaDevices.getUserMedia({ video: { ...WANTED, ...which }, audio: false });
	} catch (error) {
		throw new SourceError(KINDS[error.name] ?? "busy");
	}
	const [track] = stream.getVideoTracks();
	track.addEventListener("ended", onGone); // not when `stop()` ends it
	const settings = track.getSettings();
	const video = playing((element) => (element.srcObject = stream));
	await video.play().catch(() => {}); // a page in the background plays later
	return {
		kind: "camera",
		name: track.label,
		video,
		deviceId: settings.deviceId,
		facing: settings.facingMode,
		isFront: settings.facingMode !== "environment",
		stop: () => track.stop(),
	};
}

/** The cameras that there are: [{deviceId, label}]. Their names are known once one of them was allowed. */
export async function listCameras() {
	const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
	return devices.filter((device) => device.kind === "videoinput");
}

/** Whether this page may use the camera without asking. */
export async function isCameraAllowed() {
	try {
		return (await navigator.permissions.query({ name: "camera" })).state === "granted";
	} catch {
		return false; // a browser that does not say
	}
}

/** A picture or a video of a file. */
export async function openFile(file) {
	if (!file.type.startsWith("video/")) {
		try {
			const picture = await onWhite(await createImageBitmap(file));
			return { kind: "picture", name: file.name, picture, isFront: false, stop: () => picture.close() };
		} catch {
			if (file.type.startsWith("image/")) throw new SourceError("badFile", file.name);
		}
	}
	const address = URL.createObjectURL(file);
	const video = playing((element) => (element.src = address));
	video.loop = true;
	try {
		await video.play();
		if (!video.videoWidth) throw new Error("there is no picture in it");
	} catch {
		URL.revokeObjectURL(address);
		throw new SourceError("badFile", file.name);
	}
	const stop = () => {
		video.pause();
		video.removeAttribute("src");
		URL.revokeObjectURL(address);
	};
	return { kind: "video", name: file.name, video, isFront: false, stop };
}

/** A picture where white is seen through what is transparent, as the program reads such a file. */
function onWhite(picture) {
	const canvas = Object.assign(document.createElement("canvas"), { width: picture.width, height: picture.height });
	const context = canvas.getContext("2d", { alpha: false });
	context.fillStyle = "white";
	context.fillRect(0, 0, canvas.width, canvas.height);
	context.drawImage(picture, 0, 0);
	picture.close();
	return createImageBitmap(canvas);
}

function playing(give) {
	const video = document.createElement("video");
	Object.assign(video, { muted: true, playsInline: true, autoplay: true, disablePictureInPicture: true });
	give(video);
	return video;
}

/** Call back for each frame that a video shows. Returns what ends that. */
export function onEachFrame(video, callback) {
	let isOver = false;
	let last = -1;
	const next = "requestVideoFrameCallback" in video ? (f) => video.requestVideoFrameCallback(f) : requestAnimationFrame;
	const step = () => {
		if (isOver) return;
		next(step);
		if ("requestVideoFrameCallback" in video || video.currentTime !== last) callback();
		last = video.currentTime;
	};
	next(step);
	return () => (isOver = true);
}
