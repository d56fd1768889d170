/** The page's boot data and its JSON calls (docs/page-api.md). */

export interface Boot {
  page: "lobby" | "mymedia" | "gallery" | "entry" | "selector" | "room";
  token: string;
  person: { name: string };
  course: { title: string };
  role: "moderator" | "participant" | "guest";
  base_url: string;
  locale: string;
  /** May go on to the administration page. */
  admin?: boolean;
  /** The one recording that a link shows. */
  entry_id?: string;
  /** Somebody looks at the course as this role sees it (Sakai's “View Site As”): they own nothing here. */
  preview?: string | null;
  /** The LMS asks what is kept about this person. */
  privacy?: boolean;
}

export function readBoot(): Boot {
  return JSON.parse(document.getElementById("boot")?.textContent ?? "{}") as Boot;
}

/** A refusal as docs/page-api.md shows it, or an unreachable server (code `offline`). */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export async function call<T>(boot: Pick<Boot, "token">, method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: { Authorization: `Bearer ${boot.token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError("offline", "The server cannot be reached. Check your connection; we try again.");
  }
  if (answer.status === 204) return undefined as T;
  const data: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const error = (data as { error?: { code: string; message: string } } | null)?.error;
    throw new ApiError(error?.code ?? "internal", error?.message ?? "Something went wrong on our side. Try again.");
  }
  return data as T;
}
