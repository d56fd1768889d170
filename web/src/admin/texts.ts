/** What the administration page's frame says; each section has its own texts. */
import { catalogue } from "../ui/text";

export const t = catalogue({
  title: "Administration",
  signIn: "Sign in",
  signInText: "With an account made on the server by: sideroom admin create NAME",
  name: "Name",
  password: "Password",
  signOut: "Sign out",
  signedIn: "Signed in as {name}",
  sections: "Sections",
  loading: "Loading…",
  failed: "This could not be loaded",
  again: "Try again",
  skip: "Skip to the content",
  search: "Search",
  nothing: "Nothing was found. Try other words.",
  earlier: "Previous page",
  later: "Next page",
  copy: "Copy",
  copied: "Copied",
  done: "Done",
  pages: "Page {page} of {count}",
});
