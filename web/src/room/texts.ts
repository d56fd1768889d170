/** Every text of the room page. `{name}` is filled in; a plural form is chosen by the locale's rules. */

const texts = {
  "connection.connecting": "Connecting…",
  "connection.reconnecting": "The connection was lost. Reconnecting… You keep your place.",
  "connection.blocked": "Your browser waits for a click before it plays sound.",
  "connection.hear": "Click to hear",
  "connection.media": "Audio and video are connecting…",

  "ended.left": "You left the room.",
  "ended.removed": "A moderator removed you from this session.",
  "ended.session_ended": "This session has ended.",
  "ended.replaced": "This room was opened again in another window. You can close this one.",
  "ended.unauthenticated": "Your place in this room has expired. Please open the room from the course page again.",
  "ended.other": "The room was closed for you. Please open it from the course page again.",
  "ended.title": "Goodbye",
  "ended.rejoin": "Join again",
  "ended.close": "You can close this window.",

  "check.title": "Ready to join?",
  "check.room": "Join {room}",
  "check.join": "Join",
  "check.joining": "Joining…",
  "check.mic": "Microphone",
  "check.camera": "Camera",
  "check.speaker": "Loudspeaker",
  "check.level": "Microphone level",
  "check.default": "Default device",
  "check.unnamed": "Device {number}",
  "check.camera_off": "Your camera is off",
  "check.listen": "You can join without devices and only listen.",
  "check.enter": "Press Enter to join",

  "trouble.mic.denied": "The browser may not use your microphone. Allow it with the icon beside the address, then switch it on again.",
  "trouble.mic.none": "No microphone was found. Plug one in, then switch it on again.",
  "trouble.mic.busy": "Another program is using your microphone. Close it there, then switch it on again.",
  "trouble.mic.insecure": "Browsers give a microphone only to secure pages (https). Ask your administrator.",
  "trouble.mic.failed": "The microphone did not start. Choose another one, or reload the page.",
  "trouble.camera.denied": "The browser may not use your camera. Allow it with the icon beside the address, then switch it on again.",
  "trouble.camera.none": "No camera was found. Plug one in, then switch it on again.",
  "trouble.camera.busy": "Another program is using your camera. Close it there, then switch it on again.",
  "trouble.camera.insecure": "Browsers give a camera only to secure pages (https). Ask your administrator.",
  "trouble.camera.failed": "The camera did not start. Choose another one, or reload the page.",
  "trouble.screen": "Your screen could not be shared. Choose another window and try again.",

  "bar.room": "You are in {room}",
  "tool.mute": "Mute microphone",
  "tool.unmute": "Unmute microphone",
  "tool.camera_off": "Turn camera off",
  "tool.camera_on": "Turn camera on",
  "tool.share": "Share screen",
  "tool.unshare": "Stop sharing",
  "tool.hand": "Raise hand",
  "tool.lower": "Lower hand",
  "tool.people": "People",
  "tool.chat": "Chat",
  "tool.more": "More",
  "tool.leave": "Leave",
  "tool.bar": "Controls",

  "menu.record": "Record",
  "menu.stop": "Stop recording",
  "menu.pause": "Pause recording",
  "menu.resume": "Resume recording",
  "menu.breakout": "Breakout",
  "menu.settings": "Settings",
  "menu.shortcuts": "Keyboard shortcuts",
  "menu.end": "End for everyone",
  "menu.leave": "Leave the room",

  "rec.dialog.title": "Start recording",
  "rec.dialog.text": "Do you want to start recording?",
  "rec.dialog.start": "Start recording",
  "rec.soon": "Recording will start momentarily.",
  "rec.told": "This session is being recorded.",
  "rec.confirm": "Confirm",
  "rec.mark": "REC",
  "rec.off": "Record this room",
  "rec.starting": "Starting…",
  "rec.paused": "Paused",
  "rec.running": "This room is being recorded",
  "rec.stopped": "The recording has stopped.",
  "rec.failed": "The recording failed. {error}",

  "end.title": "End for everyone",
  "end.text": {
    one: "This ends the session for {count} person and stops all recordings.",
    other: "This ends the session for {count} people and stops all recordings.",
  },
  "end.confirm": { one: "End for {count} person", other: "End for {count} people" },
  "cancel": "Cancel",
  "close": "Close",

  "people.title": { one: "{count} person here", other: "{count} people here" },
  "people.elsewhere": "In other rooms",
  "people.you": "{name} (you)",
  "people.moderator": "Moderator",
  "people.actions": "Actions for {name}",
  "people.mute": "Mute",
  "people.mute_all": "Mute everyone",
  "people.lower": "Lower hand",
  "people.move": "Move to {room}",
  "people.remove": "Remove from session",
  "people.remove.title": "Remove {name}?",
  "people.remove.text": "{name} has to leave and cannot come back to this session.",
  "people.remove.confirm": "Remove {name}",
  "people.hand": "Hand raised",
  "people.muted": "Microphone off",
  "people.speaking": "{name} is speaking",

  "chat.empty": "No messages in this room yet. Say hello!",
  "chat.input": "Message to everyone in {room}",
  "chat.send": "Send",
  "chat.failed": "Not sent. {error}",

  "stage.screen": "{name} shares the screen",
  "stage.alone": "You are the only one here. Others appear as they join.",
  "stage.more": { one: "+{count} more", other: "+{count} more" },

  "broadcast.from": "Message from {name}",

  "say.moved": "You are now in {room}.",
  "say.muted": "A moderator muted your microphone.",

  "settings.title": "Settings",
  "shortcuts.title": "Keyboard shortcuts",
  "shortcuts.m": "Microphone on or off",
  "shortcuts.v": "Camera on or off",
  "shortcuts.s": "Share the screen or stop",
  "shortcuts.h": "Raise or lower your hand",
  "shortcuts.b": "Breakout",
  "shortcuts.r": "Record or stop recording",
  "shortcuts.?": "This list",
} as const;

export type TextKey = keyof typeof texts;

const locale = typeof document === "undefined" ? "en" : document.documentElement.lang || "en";
const plural = new Intl.PluralRules(locale);
const numbers = new Intl.NumberFormat(locale);

/** The text of `key` with its facts filled in; `count` chooses the plural form. */
export function t(key: TextKey, facts: Record<string, string | number> = {}): string {
  const entry = texts[key];
  let form: string;
  if (typeof entry === "string") form = entry;
  else form = plural.select(Number(facts.count ?? 0)) === "one" ? entry.one : entry.other;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const fact = facts[name];
    return fact === undefined ? whole : typeof fact === "number" ? numbers.format(fact) : fact;
  });
}

/** 754 → “12:34”; hours only when there are any. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours > 0 ? `${hours}:${parts.join(":")}` : parts.join(":");
}
