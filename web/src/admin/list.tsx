/** A searchable, paged list of a section: the search field, the pages, and the words of both. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button, Empty } from "../ui/kit";
import type { Ask } from "./door";
import { Show, useLoad } from "./load";
import { t } from "./texts";

interface Paged {
  total: number;
  page: number;
  per_page: number;
}

interface SearchListProps<T extends Paged> {
  ask: Ask;
  /** Under `/admin/api`; further query parameters in `also`. */
  path: string;
  also?: Record<string, string>;
  everyMs?: number;
  /** Beside the search field. */
  tools?: VNode;
  none: string;
  children: (data: T, reload: () => Promise<void>) => VNode;
}

const SOON_MS = 250;

export function SearchList<T extends Paged>({ ask, path, also, everyMs, tools, none, children }: SearchListProps<T>) {
  const [words, setWords] = useState("");
  const [asked, setAsked] = useState("");
  const [page, setPage] = useState(0);
  useEffect(() => {
    const soon = setTimeout(() => {
      setAsked(words.trim());
      setPage(0);
    }, SOON_MS);
    return () => clearTimeout(soon);
  }, [words]);
  const query = new URLSearchParams({ q: asked, page: String(page), ...also });
  const loaded = useLoad<T>(ask, `${path}?${query}`, everyMs);
  return (
    <>
      <div class="row">
        <input
          class="input search" type="search" placeholder={t("search")} aria-label={t("search")} value={words}
          onInput={(event) => setWords(event.currentTarget.value)}
        />
        {tools}
      </div>
      <Show loaded={loaded}>
        {(data) => (
          <>
            {data.total === 0 ? <Empty title={asked ? t("nothing") : none} /> : children(data, loaded.reload)}
            {data.total > data.per_page && (
              <div class="row">
                <Button small disabled={page === 0} onClick={() => setPage(page - 1)}>{t("earlier")}</Button>
                <span class="note">{t("pages", { page: page + 1, count: Math.ceil(data.total / data.per_page) })}</span>
                <Button small disabled={(page + 1) * data.per_page >= data.total} onClick={() => setPage(page + 1)}>{t("later")}</Button>
              </div>
            )}
          </>
        )}
      </Show>
    </>
  );
}
