/** “Start breakout rooms”: how many, how to assign, how long; and the question whether to keep existing rooms. */
import { useState } from "preact/hooks";
import type { AssignMode, RoomState, Send } from "../protocol/types";
import { Button, Dialog, Sheet } from "../ui/kit";
import { breakoutRooms } from "./logic";
import { optionTexts } from "./options";
import { roomNameOf, type Group } from "./roster";
import { shareText, suggestedRooms } from "./sentences";
import { t } from "./texts";

interface KeepProps {
  state: RoomState;
  error: string | null;
  onKeep: () => void;
  onCreate: () => void;
  onClose: () => void;
}

/** What would be kept is said: rooms with how many are assigned, and the options. */
export function KeepDialog({ state, error, onKeep, onCreate, onClose }: KeepProps) {
  const rooms = breakoutRooms(state);
  const sizes = new Map<string, number>();
  for (const { assigned_room_id, role } of Object.values(state.people)) {
    if (assigned_room_id !== null && role !== "moderator") sizes.set(assigned_room_id, (sizes.get(assigned_room_id) ?? 0) + 1);
  }
  const foot = (
    <>
      <Button look="quiet" onClick={onClose}>{t("cancel")}</Button>
      <Button onClick={onCreate} testId="create-new-rooms">{t("createNew")}</Button>
      <Button look="primary" autoFocus onClick={onKeep} testId="keep-rooms">{t("keep")}</Button>
    </>
  );
  return (
    <Dialog title={t("keepTitle")} onClose={onClose} foot={foot}>
      <p>{t("keepText")}</p>
      <div class="kept" data-testid="kept">
        <p>{rooms.map((room) => t("roomAndSize", { room: room.name, count: sizes.get(room.room_id) ?? 0 })).join(" · ")}</p>
        <p class="note">{optionTexts(state.breakout).join(" · ")}</p>
      </div>
      {error && <p role="alert" class="badge warn">{error}</p>}
    </Dialog>
  );
}

interface SetupProps {
  state: RoomState;
  send: Send;
  groups: Group[];
  onDone: () => void;
  onClose: () => void;
}

type Way = AssignMode | "groups";

export function SetupSheet({ state, send, groups, onDone, onClose }: SetupProps) {
  const people = Object.values(state.people).filter((person) => person.online && person.role !== "moderator").length;
  const [count, setCount] = useState(() => String(suggestedRooms(people)));
  const rooms = Math.trunc(Number(count));
  const [assign, setAssign] = useState<Way>("auto");
  const [limited, setLimited] = useState(true);
  const [minutes, setMinutes] = useState("10");
  const [record, setRecord] = useState(false);
  const [mayReturn, setMayReturn] = useState(true);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const made =
      assign === "groups"
        ? { count: groups.length, assign: "manual" as const, names: groups.map(roomNameOf), members: groups.map((group) => group.members) }
        : { count: Number(count), assign };
    const answer = await send("create_rooms", {
      ...made,
      time_limit_s: limited ? Math.round(Number(minutes) * 60) : null,
      may_return: mayReturn,
      record,
    });
    setBusy(false);
    if (answer.ok) onDone();
    else setError(answer.error.message);
  };
  const modes: [Way, string][] = [["auto", t("auto")], ["manual", t("manual")], ["self", t("self")]];
  // A session has at most a hundred rooms.
  if (groups.length > 0 && groups.length <= 100) modes.push(["groups", t("useGroups", { count: groups.length })]);
  return (
    <Sheet title={t("setupTitle")} closeLabel={t("close")} onClose={onClose} testId="breakout-setup">
      <form class="stack" onSubmit={(event) => void submit(event)}>
        {assign !== "groups" && (
          <div class="field">
            <label for="breakout-count">{t("howMany")}</label>
            <input
              id="breakout-count" class="number" data-testid="breakout-count" type="number" min="1" max="100" required value={count}
              onInput={(event) => setCount(event.currentTarget.value)} aria-describedby="breakout-share"
            />
            <p class="note" id="breakout-share" role="status" data-testid="breakout-share">{assign !== "self" && rooms >= 1 ? shareText(people, rooms) : ""}</p>
          </div>
        )}
        <fieldset class="field">
          <legend>{t("assign")}</legend>
          {modes.map(([mode, label]) => (
            <label class="choice" key={mode}>
              <input type="radio" name="assign" data-testid={`assign-${mode}`} checked={assign === mode} onChange={() => setAssign(mode)} />
              {label}
            </label>
          ))}
          {assign === "groups" && (
            <>
              <p class="note">{t("groupsNote")}</p>
              <ul class="groups" data-testid="course-groups">
                {groups.map((group) => <li key={group.group_id}>{group.name} <span class="badge">{group.members.length}</span></li>)}
              </ul>
            </>
          )}
        </fieldset>
        <div class="field">
          <label class="choice">
            <input type="checkbox" checked={limited} onChange={(event) => setLimited(event.currentTarget.checked)} />
            {t("limit")}
          </label>
          {limited && (
            <div class="row">
              <input
                class="number" type="number" min="1" max="1440" required value={minutes} aria-label={t("minutes")} data-testid="breakout-minutes"
                onInput={(event) => setMinutes(event.currentTarget.value)}
              />
              {t("minutes")}
            </div>
          )}
          {limited && <p class="note">{t("limitNote")}</p>}
        </div>
        <label class="choice">
          <input type="checkbox" data-testid="record-rooms" checked={record} onChange={(event) => setRecord(event.currentTarget.checked)} />
          {t("record")}
        </label>
        <label class="choice">
          <input type="checkbox" checked={mayReturn} onChange={(event) => setMayReturn(event.currentTarget.checked)} />
          {t("mayReturn")}
        </label>
        {error && <p role="alert" class="error">{error}</p>}
        <div class="row">
          <Button look="primary" type="submit" disabled={busy} testId="breakout-continue">{t("continue")}</Button>
          <Button onClick={onClose}>{t("cancel")}</Button>
        </div>
      </form>
    </Sheet>
  );
}
