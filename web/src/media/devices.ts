/** Microphones, cameras, loudspeakers: what there is, what was chosen last time, why one cannot be had. */

export interface DeviceChoice {
  mic: string;
  camera: string;
  speaker: string;
  micOn: boolean;
  cameraOn: boolean;
}

export type Kind = "mic" | "camera";
/** Why a device cannot be had; each has its own sentence in the catalogue. */
export type Trouble = "denied" | "none" | "busy" | "insecure" | "codec" | "failed";

const KEY = "sideroom.devices";
const DEFAULTS: DeviceChoice = { mic: "", camera: "", speaker: "", micOn: true, cameraOn: true };

/** The remembered choice; the defaults when there is none or storage is closed to us. */
export function loadChoice(): DeviceChoice {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    const choice = { ...DEFAULTS };
    if (typeof stored !== "object" || stored === null) return choice;
    const from = stored as Partial<Record<keyof DeviceChoice, unknown>>;
    for (const key of ["mic", "camera", "speaker"] as const) if (typeof from[key] === "string") choice[key] = from[key];
    for (const key of ["micOn", "cameraOn"] as const) if (typeof from[key] === "boolean") choice[key] = from[key];
    return choice;
  } catch {
    return { ...DEFAULTS };
  }
}

export function saveChoice(choice: DeviceChoice): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(choice));
  } catch {
    // Private windows may refuse; the choice then lasts for this page only.
  }
}

function constraints(kind: Kind, deviceId: string): MediaStreamConstraints {
  const id = deviceId ? { deviceId: { exact: deviceId } } : {};
  if (kind === "mic") {
    return { audio: { ...id, echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
  }
  return { video: { ...id, width: { ideal: 640 }, height: { ideal: 360 }, frameRate: { ideal: 24, max: 30 } } };
}

/** Open a device; falls back to the default one when the chosen one is gone. Throws what `explain` understands. */
export async function openDevice(kind: Kind, deviceId: string): Promise<MediaStreamTrack> {
  const media = mediaDevices();
  let stream: MediaStream;
  try {
    stream = await media.getUserMedia(constraints(kind, deviceId));
  } catch (error) {
    const gone = error instanceof DOMException && ["OverconstrainedError", "NotFoundError"].includes(error.name);
    if (!deviceId || !gone) throw error;
    stream = await media.getUserMedia(constraints(kind, ""));
  }
  const track = stream.getTracks()[0];
  if (track === undefined) throw new DOMException("no track", "NotFoundError");
  return track;
}

/** The screen (and its sound where the browser offers it). */
export async function openScreen(): Promise<MediaStream> {
  return await mediaDevices().getDisplayMedia({ video: { frameRate: { ideal: 10, max: 15 } }, audio: true });
}

function mediaDevices(): MediaDevices {
  // Absent outside https: and localhost, whatever the type says.
  const media = navigator.mediaDevices as MediaDevices | undefined;
  if (media === undefined) throw new DOMException("no media devices", "SecurityError");
  return media;
}

export function explain(error: unknown): Trouble {
  if (!(error instanceof DOMException)) return "failed";
  switch (error.name) {
    case "NotAllowedError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "none";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    case "SecurityError":
      return "insecure";
    default:
      return "failed";
  }
}

/** Devices of one kind; names are empty until the browser was allowed one. */
export async function listDevices(): Promise<MediaDeviceInfo[]> {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  if (media === undefined) return [];
  const all = await media.enumerateDevices().catch(() => []);
  return all.filter((device) => device.deviceId !== "");
}

export function onDevicesChanged(listener: () => void): () => void {
  const media = navigator.mediaDevices as MediaDevices | undefined;
  media?.addEventListener("devicechange", listener);
  return () => media?.removeEventListener("devicechange", listener);
}
