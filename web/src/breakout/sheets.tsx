/** What the Breakout menu item opens: the question about existing rooms, the set-up, or the dashboard. */
import { useState } from "preact/hooks";
import type { RoomState, Send } from "../protocol/types";
import { Dashboard } from "./dashboard";
import { breakoutRooms } from "./logic";
import { useRoster } from "./roster";
import { KeepDialog, SetupSheet } from "./setup";

interface SheetsProps {
  state: RoomState;
  send: Send;
  /** The room token, for the course's roster. */
  token: string;
  serverNow: () => number;
  onClose: () => void;
}

type Step = "ask" | "setup" | "dashboard";

function firstStep(state: RoomState): Step {
  const status = state.breakout.status;
  if (status === "starting" || status === "running" || status === "closing") return "dashboard";
  return breakoutRooms(state).length ? "ask" : "setup";
}

/** Mounted while open; closing it unmounts it. */
export function BreakoutSheets({ state, send, token, serverNow, onClose }: SheetsProps) {
  const roster = useRoster(token);
  const [step, setStep] = useState<Step>(() => firstStep(state));
  const [error, setError] = useState<string | null>(null);
  const [record, setRecord] = useState(false);
  if (step === "ask")
    return (
      <KeepDialog
        onClose={onClose}
        onCreate={() => setStep("setup")}
        error={error}
        onKeep={() => void send("keep_rooms", {}).then((answer) => (answer.ok ? setStep("dashboard") : setError(answer.error.message)))}
      />
    );
  if (step === "setup")
    return (
      <SetupSheet
        send={send}
        groups={roster.groups}
        onClose={onClose}
        onDone={(wanted) => {
          setRecord(wanted);
          setStep("dashboard");
        }}
      />
    );
  return <Dashboard state={state} send={send} roster={roster} serverNow={serverNow} record={record} onClose={onClose} />;
}
