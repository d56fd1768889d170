/** What the Breakout menu item opens: the question about existing rooms, the set-up, or the dashboard. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { RoomState, Send } from "../protocol/types";
import { Dashboard } from "./dashboard";
import { breakoutRooms } from "./logic";
import { useRoster } from "./roster";
import { KeepDialog, SetupSheet } from "./setup";
import { t } from "./texts";

interface SheetsProps {
  state: RoomState;
  send: Send;
  /** The room token, for the course's roster. */
  token: string;
  onClose: () => void;
}

type Step = "ask" | "setup" | "dashboard";

function firstStep(state: RoomState): Step {
  const status = state.breakout.status;
  if (status === "starting" || status === "running" || status === "closing") return "dashboard";
  return breakoutRooms(state).length ? "ask" : "setup";
}

/** Mounted while open; closing it unmounts it. */
export function BreakoutSheets({ state, send, token, onClose }: SheetsProps) {
  const roster = useRoster(token);
  const [chosen, setStep] = useState<Step>(() => firstStep(state));
  const [error, setError] = useState<string | null>(null);
  const begun = firstStep(state) === "dashboard";
  // What was being set up is overtaken by a breakout that somebody else started meanwhile.
  const overtaken = useRef(false);
  if (begun && chosen !== "dashboard") overtaken.current = true;
  const step = begun ? "dashboard" : chosen;
  useEffect(() => {
    if (begun) setStep("dashboard");
  }, [begun]);
  if (step === "ask")
    return (
      <KeepDialog
        state={state}
        onClose={onClose}
        onCreate={() => setStep("setup")}
        error={error}
        onKeep={() => void send("keep_rooms", {}).then((answer) => (answer.ok ? setStep("dashboard") : setError(answer.error.message)))}
      />
    );
  if (step === "setup") return <SetupSheet state={state} send={send} groups={roster.groups} onClose={onClose} onDone={() => setStep("dashboard")} />;
  return <Dashboard state={state} send={send} roster={roster} note={begun && overtaken.current ? t("startedBySomebody") : null} onClose={onClose} />;
}
