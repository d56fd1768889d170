import { render } from "preact";
import { LibraryPage } from "../library/library";
import { followHeight, readBoot } from "../ui/page";

const app = document.getElementById("app");
if (app) render(<LibraryPage boot={readBoot()} />, app);
followHeight();
