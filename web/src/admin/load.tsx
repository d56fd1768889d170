/** What every section does: load, show that it loads, say what failed, load again. */
import type { ComponentChildren, VNode } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Button, Empty, Spinner } from "../ui/kit";
import { ApiError } from "../ui/page";
import type { Ask } from "./door";
import { t } from "./texts";

export interface Loaded<T> {
  data: T | null;
  error: string | null;
  reload: () => Promise<void>;
}

/** Data of a path under `/admin/api`; `everyMs` loads it again while the page is visible. */
export function useLoad<T>(ask: Ask, path: string, everyMs = 0): Loaded<T> {
  const [data, setData] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const newest = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++newest.current;
    try {
      const answer = await ask<T>("GET", path);
      if (mine !== newest.current) return; // a newer question is under way
      setData(answer);
      setError(null);
    } catch (problem) {
      if (mine === newest.current) setError((problem as ApiError).message);
    }
  }, [path]);
  useEffect(() => {
    void reload();
    if (!everyMs) return;
    const timer = setInterval(() => {
      if (!document.hidden) void reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [reload]);
  return { data, error, reload };
}

/** Draws `children` with the data, or a spinner, or the failure with its next step. */
export function Show<T>({ loaded, children }: { loaded: Loaded<T>; children: (data: T) => VNode }) {
  if (loaded.data !== null)
    return (
      <>
        {loaded.error && <p role="alert" class="error">{loaded.error}</p>}
        {children(loaded.data)}
      </>
    );
  if (loaded.error)
    return (
      <Empty title={t("failed")} text={loaded.error}>
        <Button look="primary" onClick={() => void loaded.reload()}>{t("again")}</Button>
      </Empty>
    );
  return <Spinner label={t("loading")} />;
}

/** One call at a time with its failure: for buttons that change something. */
export function useAct(): { busy: boolean; error: string | null; act: (work: () => Promise<void>) => Promise<boolean> } {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const act = async (work: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await work();
      return true;
    } catch (problem) {
      setError(problem instanceof ApiError ? problem.message : String(problem));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, act };
}

interface TableProps {
  /** What the table lists, for screen readers. */
  label: string;
  heads: ComponentChildren[];
  children: ComponentChildren;
}

/** A table that becomes a list of cards on narrow screens; cells name their column in `data-head`. */
export function Table({ label, heads, children }: TableProps) {
  return (
    <div class="table" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>{heads.map((head, at) => <th scope="col" key={at}>{head}</th>)}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
