/** What the administration page's frame says; each section has its own texts. */
import { catalogue } from "../ui/text";

export const t = catalogue({
  title: "Administration",
  signIn: "Sign in",
  signInText: "Administrator accounts are created on the server: sideroom admin create NAME",
  name: "Name",
  password: "Password",
  signOut: "Sign out",
  signedIn: "Signed in as {name}",
  sections: "Sections",
  loading: "Loading…",
  failed: "This couldn’t be loaded",
  again: "Try again",
  skip: "Skip to content",
  search: "Search",
  nothing: "No results. Try a different search.",
  earlier: "Previous page",
  later: "Next page",
  copy: "Copy",
  copied: "Copied",
  done: "Done",
  pages: "Page {page} of {count}",
});
