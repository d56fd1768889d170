/** A webhook's messages of the last 30 days: how each fared, its tries and body, send again. */
import { useState } from "preact/hooks";
import { Button, Empty, Sheet } from "../../ui/kit";
import { catalogue, day } from "../../ui/text";
import type { Ask } from "../door";
import { Show, Table, useAct, useLoad } from "../load";
import type { Webhook } from "./webhooks";

const t = catalogue({
  close: "Close the log",
  none: "Nothing sent in the last 30 days",
  when: "When",
  event: "Event",
  state: "State",
  pending: "Next attempt {when}",
  sending: "Sending",
  delivered: "Delivered",
  failed: "Failed",
  tries: { one: "{count} attempt", other: "{count} attempts" },
  answer: "answer {status}",
  details: "Attempts",
  detailsOf: "Attempts for the message of {when}",
  again: "Resend",
  againOf: "Resend the message of {when}",
  took: "{when}: {outcome} after {ms} ms",
  body: "Message",
  newer: "Newer",
  older: "Older",
});

interface Delivery {
  id: number;
  event: string;
  status: "pending" | "delivered" | "failed";
  attempts: number;
  next_at: string | null;
  response_status: number | null;
  error: string;
  created_at: string;
}

interface Try {
  at: string;
  duration_ms: number;
  response_status: number | null;
  response_text: string;
  error: string;
}

interface Page {
  deliveries: Delivery[];
  total: number;
  page: number;
  per_page: number;
}

const REFRESH_MS = 3000;
const outcome = (each: { response_status: number | null; error: string }) =>
  each.response_status === null ? each.error : t("answer", { status: String(each.response_status) });

export function Log({ ask, hook, title, onClose }: { ask: Ask; hook: Webhook; title: string; onClose: () => void }) {
  const [page, setPage] = useState(0);
  const [open, setOpen] = useState<number | null>(null);
  const path = `/webhooks/${hook.id}/deliveries`;
  const loaded = useLoad<Page>(ask, `${path}?page=${page}`, REFRESH_MS);
  const { busy, error, act } = useAct();
  const again = (id: number) =>
    void act(async () => {
      await ask("POST", `${path}/${id}/redeliver`);
      await loaded.reload();
    });
  return (
    <Sheet title={title} closeLabel={t("close")} onClose={onClose} wide testId="webhook-log-sheet">
      <Show loaded={loaded}>
        {({ deliveries, total, per_page }) =>
          total === 0 ? (
            <Empty title={t("none")} />
          ) : (
            <>
              {error && <p role="alert" class="error">{error}</p>}
              <Table label={title} heads={[t("when"), t("event"), t("state"), ""]}>
                {deliveries.map((each) => (
                  <tr key={each.id} data-testid="delivery">
                    <td data-head={t("when")}>{day(each.created_at)}</td>
                    <td data-head={t("event")}>{each.event}</td>
                    <td data-head={t("state")}>
                      <State delivery={each} />
                      {open === each.id && <Tries ask={ask} path={`${path}/${each.id}`} />}
                    </td>
                    <td>
                      <span class="row">
                        <Button small aria-expanded={open === each.id} aria-label={t("detailsOf", { when: day(each.created_at) })} onClick={() => setOpen(open === each.id ? null : each.id)}>
                          {t("details")}
                        </Button>
                        <Button small disabled={busy || !hook.enabled} aria-label={t("againOf", { when: day(each.created_at) })} onClick={() => again(each.id)}>{t("again")}</Button>
                      </span>
                    </td>
                  </tr>
                ))}
              </Table>
              {total > per_page && (
                <div class="row">
                  <Button small disabled={page === 0} onClick={() => setPage(page - 1)}>{t("newer")}</Button>
                  <Button small disabled={(page + 1) * per_page >= total} onClick={() => setPage(page + 1)}>{t("older")}</Button>
                </div>
              )}
            </>
          )
        }
      </Show>
    </Sheet>
  );
}

function State({ delivery }: { delivery: Delivery }) {
  const { status, next_at, attempts } = delivery;
  const look = status === "delivered" ? "ok" : status === "failed" ? "bad" : "";
  const waits = next_at !== null && attempts > 0 ? t("pending", { when: day(next_at) }) : t("sending");
  const text = status === "delivered" ? t("delivered") : status === "failed" ? t("failed") : waits;
  return (
    <>
      <span class={look}>{text}</span>
      {attempts > 0 && <><br /><span class="note">{t("tries", { count: attempts })}, {outcome(delivery)}</span></>}
    </>
  );
}

function Tries({ ask, path }: { ask: Ask; path: string }) {
  const loaded = useLoad<{ tries: Try[]; body: unknown }>(ask, path, REFRESH_MS);
  return (
    <Show loaded={loaded}>
      {({ tries, body }) => (
        <>
          <ol class="note">
            {tries.map((each) => (
              <li key={each.at}>
                {t("took", { when: day(each.at), outcome: outcome(each), ms: each.duration_ms })} {each.response_text}
              </li>
            ))}
          </ol>
          <details>
            <summary>{t("body")}</summary>
            <pre><code>{JSON.stringify(body, null, 2)}</code></pre>
          </details>
        </>
      )}
    </Show>
  );
}
