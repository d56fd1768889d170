/** Messages to breakout rooms: sending one, and the line that shows the newest until it is closed or the breakout ends. */
import { ChevronDown, ChevronUp, Megaphone, X } from "lucide-preact";
import { useState } from "preact/hooks";
import type { ChatLine, RoomState, Send } from "../protocol/types";
import { Button, Dialog } from "../ui/kit";
import { limited } from "../ui/names";
import { currentBroadcasts } from "./sentences";
import { t } from "./texts";

interface DialogProps {
  send: Send;
  /** One room, or all of them. */
  room?: { room_id: string; name: string };
  onClose: () => void;
}

export function BroadcastDialog({ send, room, onClose }: DialogProps) {
  const [text, setText] = useState("");
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const answer = await send("broadcast_message", room === undefined ? { text } : { text, room_ids: [room.room_id] });
    if (answer.ok) onClose();
    else setError(answer.error.message);
  };
  return (
    <Dialog title={t("broadcast")} onClose={onClose}>
      <form class="stack" onSubmit={(event) => void submit(event)}>
        <div class="field">
          <label for="broadcast-text">{room === undefined ? t("broadcastText") : t("broadcastTo", { room: room.name })}</label>
          <textarea
            id="broadcast-text" data-testid="broadcast-text" rows={3} required value={text}
            onInput={(event) => setText(limited(event, 1000))}
          />
          {error && <p class="error" role="alert">{error}</p>}
        </div>
        <div class="row">
          <Button look="primary" type="submit" testId="broadcast-send">{t("broadcastSend")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Dialog>
  );
}

export function BroadcastButton({ send }: { send: Send }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button small testId="broadcast-open" aria-label={t("broadcast")} onClick={() => setOpen(true)}><Megaphone size={16} aria-hidden="true" /> <span class="words">{t("broadcast")}</span></Button>
      {open && <BroadcastDialog send={send} onClose={() => setOpen(false)} />}
    </>
  );
}

/** One line that opens and closes; older messages stand in the chat. */
export function BroadcastLine({ state, chat }: { state: RoomState; chat: ChatLine[] }) {
  const [closedSeq, setClosedSeq] = useState(0);
  const [open, setOpen] = useState(false);
  const line = currentBroadcasts(state, chat).at(-1);
  if (line === undefined || line.seq <= closedSeq) return null;
  const time = new Date(line.at).toLocaleTimeString(document.documentElement.lang || "en", { hour: "2-digit", minute: "2-digit" });
  return (
    <div class={open ? "broadcast-line open" : "broadcast-line"} data-testid="broadcast">
      <Megaphone size={16} aria-label={t("broadcastFrom", { name: line.name })} />
      <p><strong>{line.name}</strong> <span dir="auto">{line.text}</span> <time dateTime={line.at}>{time}</time></p>
      <Button small look="quiet" class="icon" aria-expanded={open} aria-label={t(open ? "foldMessage" : "wholeMessage")} onClick={() => setOpen(!open)}>
        {open ? <ChevronUp size={18} aria-hidden="true" /> : <ChevronDown size={18} aria-hidden="true" />}
      </Button>
      <Button small look="quiet" class="icon" testId="broadcast-close" aria-label={t("closeMessage")} onClick={() => setClosedSeq(line.seq)}><X size={18} aria-hidden="true" /></Button>
    </div>
  );
}
