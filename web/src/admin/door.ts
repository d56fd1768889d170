/** The administration page's calls: the cookie goes by itself, the CSRF token with every call. */
import { ApiError } from "../ui/page";

export interface AdminBoot {
  /** Null: nobody is signed in. */
  name: string | null;
  csrf: string;
}

export function readAdminBoot(): AdminBoot {
  return JSON.parse(document.getElementById("boot")?.textContent ?? "{}") as AdminBoot;
}

export type Ask = <T>(method: string, path: string, body?: unknown) => Promise<T>;

async function send<T>(method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ApiError("offline", "The server cannot be reached. Check your connection, then try again.");
  }
  if (answer.status === 204) return undefined as T;
  const data: unknown = await answer.json().catch(() => null);
  if (!answer.ok) {
    const error = (data as { error?: { code: string; message: string } } | null)?.error;
    throw new ApiError(error?.code ?? "internal", error?.message ?? "Something went wrong on our side. Try again.");
  }
  return data as T;
}

export function signIn(name: string, password: string): Promise<AdminBoot> {
  return send<AdminBoot>("POST", "/admin/sign-in", {}, { name, password });
}

/** Calls under `/admin/api`. `onGone`: the session is over. */
export function door(csrf: string, onGone: () => void): Ask {
  return async <T>(method: string, path: string, body?: unknown) => {
    try {
      return await send<T>(method, `/admin/api${path}`, { "X-CSRF-Token": csrf }, body);
    } catch (problem) {
      if (problem instanceof ApiError && problem.code === "unauthenticated") onGone();
      throw problem;
    }
  };
}
