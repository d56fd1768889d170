import { render } from "preact";
import { AdminPage } from "../admin/page";
import { readAdminBoot } from "../admin/door";

const app = document.getElementById("app");
if (app) render(<AdminPage boot={readAdminBoot()} />, app);
